import { type StoreClock, storeClock } from '../../core/store-clock.js'
import { STORE_REASONS, type StoreReason } from '../../protocol/codes.js'
import { hasLostMaster, storeFaultOf } from '../store-fault.js'

/** What the connections of a process share: what one of them learns of the store, all of them act on. */
export interface StoreWatch {
  /** A command got an error reply, or a connection has a fault. Answers whether the connections are made anew for it. */
  refused(error: unknown): boolean
  /** Calls each time that the server turned out to be no master any more, once in some seconds at most. The function that it returns calls that off. */
  onMasterLost(act: () => void): () => void
}

/** Proves that the store takes writes: writes, and answers with the time of the store (ms since the epoch). */
export type Probe = () => Promise<number>

export interface StoreHealthOptions {
  /** How long a worker's lock lives. */
  readonly lockMs: number
  /** Each change of state, and nothing else. */
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
  /** Kept right by each look. Without it that of this process. */
  readonly clock?: StoreClock
}

/** Refusals that are the same for every node, while reads go on. */
const FOR_ALL: ReadonlySet<StoreReason> = new Set(['store_full', 'store_not_saving', 'store_lacks_replicas'])

/** How often the store is probed. */
const MAX_INTERVAL_MS = 1000
/** A probe that takes longer counts as failed. */
const ANSWER_MS = 2000
/** Where connections that were made anew lead to no master either, they are made anew again after this time, then after twice that, up to the most. */
const RECONNECT_MS = { first: 1000, most: 5000 }
/** How far a machine's clock may be from that of Redis. */
const MAX_SKEW_MS = 5000
/** Different refusals of rights that are logged. */
const MAX_DENIALS = 100

/**
 * Whether the store takes this process's writes: probed each second, and at once where a command was refused. Every change is logged once, however many
 * commands are refused meanwhile. Spans are measured by a clock that is never set.
 */
export class StoreHealth implements StoreWatch {
  readonly #options: StoreHealthOptions
  readonly #clock: StoreClock
  readonly #lost = new Set<() => void>()
  readonly #denials = new Set<string>()
  #probe: Probe | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #looking: Promise<StoreReason | null> | undefined
  #reason: StoreReason | null = null
  /** Since when the store has taken writes without a break that a lock may not have survived. */
  #writableSince = Number.NEGATIVE_INFINITY
  #provenAt: number | undefined
  #isInStep = true
  /** When the connections may be made anew again, and how long after that the next time. */
  #mayMoveAt = Number.NEGATIVE_INFINITY
  #moveAfterMs = RECONNECT_MS.first

  constructor(options: StoreHealthOptions) {
    this.#options = options
    this.#clock = options.clock ?? storeClock
  }

  /** Why the last look failed; null where the store takes writes. */
  get reason(): StoreReason | null {
    return this.#reason
  }

  /** Whether the last look failed for what another node would do better: it refuses here alone, or reads fail too. */
  get isLocal(): boolean {
    return this.#reason !== null && !FOR_ALL.has(this.#reason)
  }

  /**
   * Whether a worker without a lock is lost: the store has taken writes for longer than a lock lives, so whoever lives has renewed it since. Before that
   * nobody may be judged.
   */
  get mayJudge(): boolean {
    return this.#reason === null && this.#clock.elapsed() - this.#writableSince > this.#options.lockMs
  }

  /** Whether this machine's clock agrees with that of Redis, as far as the last look tells. Who is out of step must not judge by the time. */
  get isInStep(): boolean {
    return this.#isInStep
  }

  /** By how many ms this machine's clock is ahead of that of Redis; 0 before the first look. */
  get aheadMs(): number {
    return this.#clock.aheadMs
  }

  /** Probes from now on. Resolves after the first look, which brings the clock of the store; never rejects. */
  async begin(probe: Probe): Promise<void> {
    this.#probe = probe
    const intervalMs = Math.min(MAX_INTERVAL_MS, Math.max(50, this.#options.lockMs / 8))
    this.#timer = setInterval(() => void this.look(), intervalMs)
    this.#timer.unref?.()
    await this.look()
  }

  close(): void {
    this.#probe = undefined
    clearInterval(this.#timer)
    this.#lost.clear()
  }

  /** Probes now. Answers why the store takes no writes, or null. Concurrent callers share one look. Never rejects. */
  look(): Promise<StoreReason | null> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  refused(error: unknown): boolean {
    const reason = storeFaultOf(error)
    if (reason === null || this.#timer === undefined) return false
    if (reason === 'store_denies') this.#logDenial(error)
    if (this.#reason === null) void this.look()
    return hasLostMaster(error) && this.#move()
  }

  onMasterLost(act: () => void): () => void {
    this.#lost.add(act)
    return () => void this.#lost.delete(act)
  }

  async #look(): Promise<StoreReason | null> {
    const probe = this.#probe
    if (!probe) return this.#reason
    const begun = this.#clock.elapsed()
    try {
      const time = await inTime(probe())
      if (this.#probe !== probe) return this.#reason
      this.#proven(begun)
      this.#clock.learn(time, begun)
      this.#compareClocks()
    } catch (error) {
      if (this.#probe === probe) this.#failed(error)
    }
    return this.#reason
  }

  #proven(begun: number): void {
    const { lockMs, log } = this.#options
    // Between two proofs locks may have lapsed: they are renewed each quarter of their life.
    const breakMs = MAX_INTERVAL_MS + Math.max(ANSWER_MS / 2, lockMs / 4)
    const isBroken = this.#reason !== null || (this.#provenAt !== undefined && begun - this.#provenAt > breakMs)
    if (isBroken) this.#writableSince = begun
    this.#provenAt = begun
    if (begun >= this.#mayMoveAt) this.#moveAfterMs = RECONNECT_MS.first
    if (this.#reason === null) return
    log.info({ reason: this.#reason }, 'Redis takes writes again')
    this.#reason = null
  }

  #compareClocks(): void {
    const { aheadMs } = this
    const isInStep = Math.abs(aheadMs) <= MAX_SKEW_MS
    if (isInStep === this.#isInStep) return
    this.#isInStep = isInStep
    const { log } = this.#options
    if (isInStep) log.info({}, 'The clock of this machine agrees with that of Redis again')
    else
      log.warn(
        { ahead_ms: Math.round(aheadMs) },
        'THE CLOCK OF THIS MACHINE IS NOT THAT OF REDIS: this process does not sweep until they agree',
      )
  }

  #failed(error: unknown): void {
    // The probe is one script that always succeeds: whatever else it is answered, this server cannot serve.
    const reason = storeFaultOf(error) ?? 'store_busy'
    if (reason === this.#reason) return
    this.#reason = reason
    this.#options.log.warn({ reason, err: error }, STORE_REASONS[reason])
  }

  /** A right that is missing for one command is no state either: each is told once. */
  #logDenial(error: unknown): void {
    const text = error instanceof Error ? error.message : ''
    if (this.#denials.has(text) || this.#denials.size >= MAX_DENIALS) return
    this.#denials.add(text)
    this.#options.log.warn({ reason: 'store_denies', err: error }, STORE_REASONS.store_denies)
  }

  #move(): boolean {
    const now = this.#clock.elapsed()
    if (now < this.#mayMoveAt) return false
    this.#mayMoveAt = now + this.#moveAfterMs
    this.#moveAfterMs = Math.min(2 * this.#moveAfterMs, RECONNECT_MS.most)
    for (const act of this.#lost) act()
    return true
  }
}

/** As much of a connection of ioredis as is needed to make it anew. */
interface Connection {
  readonly status: string
  disconnect(reconnect: boolean): void
  once(event: 'end', act: () => void): unknown
}

/** Makes a connection anew each time that its server turned out to be no master any more, until it has ended: one that only reads or waits would not notice. */
export function moveWithMaster(connection: Connection, store: StoreWatch | undefined): void {
  const callOff = store?.onMasterLost(() => {
    if (connection.status === 'ready') connection.disconnect(true)
  })
  if (callOff) connection.once('end', callOff)
}

/** For ioredis, what becomes of a command after an error reply that has made the connections anew: 2 sends it again, 1 rejects it. */
export function reconnectRule(store: StoreWatch | undefined, then: 1 | 2): (error: Error) => 1 | 2 | false {
  return (error) => {
    if (!store?.refused(error)) return false
    // Without its MULTI an EXEC makes no sense.
    return error.message.startsWith('EXECABORT') ? 1 : then
  }
}

/** Rejects like a command that timed out where the answer takes too long. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Command timed out')), ANSWER_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
