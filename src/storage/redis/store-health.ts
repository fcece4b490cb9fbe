import { type StoreClock, storeClock } from '../../core/store-clock.js'
import { STORE_REASONS, type StoreReason } from '../../protocol/codes.js'
import { hasLostMaster, storeFaultOf } from '../store-fault.js'

/** Shared by the connections of a process: what one of them learns of the store, all of them act on. */
export interface StoreWatch {
  /** Reports an error reply or a connection error. Returns whether the connections are reconnected because of it. */
  refused(error: unknown): boolean
  /**
   * Calls `act` each time the server turns out to be no longer a master, at most once in a few seconds. The returned
   * function cancels the registration.
   */
  onMasterLost(act: () => void): () => void
}

/** Proves that the store accepts writes: writes a key and resolves to the time of the store (ms since the epoch). */
export type Probe = () => Promise<number>

export interface StoreHealthOptions {
  /** Lifetime of a worker's lock. */
  readonly lockMs: number
  /** Logs each change of state, and nothing else. */
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
  /** Corrected by each check. Default: the clock of this process. */
  readonly clock?: StoreClock
}

/** Reasons that apply to every node, while reads still work. */
const FOR_ALL: ReadonlySet<StoreReason> = new Set(['store_full', 'store_not_saving', 'store_lacks_replicas'])

/** Maximum interval between probes. */
const MAX_INTERVAL_MS = 1000
/** A probe that takes longer counts as failed. */
const ANSWER_MS = 2000
/**
 * If the new connections lead to no master either, the process reconnects again after `first`, then after twice that
 * time, up to `most`.
 */
const RECONNECT_MS = { first: 1000, most: 5000 }
/** Maximum difference between the clocks of a machine and of Redis. */
const MAX_SKEW_MS = 5000
/** Maximum number of different permission errors that are logged. */
const MAX_DENIALS = 100

/**
 * Whether the store accepts the writes of this process. It is probed each second, and at once when a command is
 * rejected. Each change is logged once, however many commands are rejected meanwhile. Durations are measured by a
 * monotonic clock.
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
  /** Since when the store has accepted writes, without a break that a lock may not have survived. */
  #writableSince = Number.NEGATIVE_INFINITY
  #provenAt: number | undefined
  #isInStep = true
  /** When the process may reconnect again, and the delay after that. */
  #mayMoveAt = Number.NEGATIVE_INFINITY
  #moveAfterMs = RECONNECT_MS.first

  constructor(options: StoreHealthOptions) {
    this.#options = options
    this.#clock = options.clock ?? storeClock
  }

  /** Why the last check failed; null while the store accepts writes. */
  get reason(): StoreReason | null {
    return this.#reason
  }

  /**
   * Whether the last check failed for a reason that another node may not have: the store rejects writes of this node
   * alone, or reads fail too.
   */
  get isLocal(): boolean {
    return this.#reason !== null && !FOR_ALL.has(this.#reason)
  }

  /**
   * Whether a worker without a lock can be considered lost. True once the store has accepted writes for longer than the
   * lifetime of a lock: every live worker has renewed its lock since then.
   */
  get mayJudge(): boolean {
    return this.#reason === null && this.#clock.elapsed() - this.#writableSince > this.#options.lockMs
  }

  /**
   * Whether the clock of this machine agreed with that of Redis at the last check. A process whose clock differs must
   * not make decisions by time.
   */
  get isInStep(): boolean {
    return this.#isInStep
  }

  /** By how many ms the clock of this machine is ahead of that of Redis; 0 before the first check. */
  get aheadMs(): number {
    return this.#clock.aheadMs
  }

  /** Starts the probes. Resolves after the first check, which sets the clock of the store. Never rejects. */
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

  /**
   * Probes now. Resolves to the reason why the store accepts no writes, or null. Concurrent callers share one check.
   * Never rejects.
   */
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
      const time = await withTimeout(probe())
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
    // Locks may have expired between two successful probes: they are renewed every quarter of their lifetime.
    const breakMs = MAX_INTERVAL_MS + Math.max(ANSWER_MS / 2, lockMs / 4)
    const isBroken = this.#reason !== null || (this.#provenAt !== undefined && begun - this.#provenAt > breakMs)
    if (isBroken) this.#writableSince = begun
    this.#provenAt = begun
    if (begun >= this.#mayMoveAt) this.#moveAfterMs = RECONNECT_MS.first
    if (this.#reason === null) return
    log.info({ reason: this.#reason }, 'Redis accepts writes again')
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
        `The clocks of this machine and of Redis differ by more than ${MAX_SKEW_MS / 1000} s. This process does not sweep until they agree: check the time services of both.`,
      )
  }

  #failed(error: unknown): void {
    // The probe is a script that always succeeds on a healthy server: with any other reply this server is unusable.
    const reason = storeFaultOf(error) ?? 'store_busy'
    if (reason === this.#reason) return
    this.#reason = reason
    this.#options.log.warn({ reason, err: error }, STORE_REASONS[reason])
  }

  /** A permission error of one command does not change the state. Each one is logged once. */
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

/** The part of an ioredis connection that is needed to reconnect it. */
interface Connection {
  readonly status: string
  disconnect(reconnect: boolean): void
  once(event: 'end', act: () => void): unknown
}

/**
 * Reconnects a connection each time its server turns out to be no longer a master, until the connection ends. A
 * connection that only reads or waits would not notice.
 */
export function moveWithMaster(connection: Connection, store: StoreWatch | undefined): void {
  const removeListener = store?.onMasterLost(() => {
    if (connection.status === 'ready') connection.disconnect(true)
  })
  if (removeListener) connection.once('end', removeListener)
}

/** Tells ioredis how to handle a command whose error reply caused a reconnect: 2 sends it again, 1 rejects it. */
export function reconnectRule(store: StoreWatch | undefined, then: 1 | 2): (error: Error) => 1 | 2 | false {
  return (error) => {
    if (!store?.refused(error)) return false
    // An EXEC without its MULTI makes no sense.
    return error.message.startsWith('EXECABORT') ? 1 : then
  }
}

/** Rejects as a command that timed out if the answer takes too long. */
async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Command timed out')), ANSWER_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
