import type { Clock } from '../core/clock.js'
import type { Entry } from '../core/entry.js'
import { advance, type JobState } from '../core/job-state.js'
import { isOverloaded } from '../protocol/codes.js'
import type { Broker, Reading } from '../storage/broker.js'
import type { HubTally } from './hub-tally.js'
import type { Kept } from './registry.js'
import type { Subscription } from './subscription.js'

export interface TopicLimits {
  /** How long a job may be silent before its stored seq is compared. */
  readonly quietMs: number
  /** Most entries, and bytes of them, that a node keeps of a job for clients that resume. */
  readonly maxRecentEntries: number
  readonly maxRecentBytes: number
}

/** Where a subscription hangs on its topic: `reopened` is told that the count is another one now, `gone` that the job has expired. */
export interface Subscriber {
  readonly subscription: Subscription
  reopened(state: JobState): void
  gone(): void
}

/** Null: what was missed cannot be told, only the whole state. */
export type CatchUp = () => readonly Entry[] | null

const RETRY_MS = 500
const MAX_HELD = 1000

export interface TopicPorts {
  readonly broker: Broker
  readonly clock: Clock
  readonly tally: HubTally
  /** Faults that are no outage of Redis. */
  readonly onFault: (error: unknown) => void
}

/** A job on this node: its state, kept complete, for any number of subscribers. It alone reads Redis, once for all of them. */
export class Topic implements Kept {
  readonly id: string
  readonly subscribers = new Set<Subscriber>()
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #limits: TopicLimits
  readonly #recoveries: HubTally['recoveries']
  readonly #onFault: (error: unknown) => void
  #state: JobState | null = null
  #loading: Promise<JobState | null> | undefined
  #recovering: Promise<void> | undefined
  #recoverAgain = false
  /** What came in while the state was being read. */
  #held: Entry[] = []
  /** All durable entries with a seq above `#recentAfter`. */
  #recent: Entry[] = []
  #recentAfter = 0
  #recentBytes = 0
  readonly #reads = new Map<string, Promise<Reading | null>>()
  #callOffQuiet: (() => void) | undefined
  #closed = false

  constructor(id: string, ports: TopicPorts, limits: TopicLimits) {
    this.id = id
    this.#broker = ports.broker
    this.#clock = ports.clock
    this.#recoveries = ports.tally.recoveries
    this.#limits = limits
    this.#onFault = ports.onFault
  }

  get isIdle(): boolean {
    return this.subscribers.size === 0
  }

  get state(): JobState | null {
    return this.#state
  }

  /** The state, complete and live from then on; null where there is no such job. Subscribes first and reads after, so nothing falls between. */
  load(): Promise<JobState | null> {
    if (this.#state) return Promise.resolve(this.#state)
    // Neither a failure nor an absence is remembered: the job may be submitted in a moment.
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  /** The next entry of the channel. In order it goes to all; ahead of order it waits until what is missing was read. */
  receive(entry: Entry): void {
    const state = this.#state
    if (!state || this.#recovering) this.#hold(entry)
    else if (entry.generation === state.generation && entry.seq <= state.seq) return
    else if (entry.generation === state.generation && entry.seq === state.seq + 1) this.#deliver(state, entry)
    else {
      this.#hold(entry)
      void this.recover()
    }
  }

  /** Reads what may have been missed, and tries until Redis answers. Concurrent calls share one read. */
  recover(): Promise<void> {
    if (!this.#state || this.#closed) return Promise.resolve()
    // A read that is under way may have been answered before what is asked for here was written.
    if (this.#recovering) this.#recoverAgain = true
    this.#recovering ??= this.#recoverOnce()
    return this.#recovering
  }

  /**
   * Prepares what a client at `after` has missed: durable entries, and the latest tick per key. The function that it resolves to answers for the
   * moment of its call, so that no entry falls between the answer and a subscription that begins with it; null where the log does not provably reach back.
   */
  async catchUp(epoch: string, after: number): Promise<CatchUp> {
    const isCurrent = this.#state?.epoch === epoch
    if (isCurrent && after > (this.#state?.seq ?? 0)) return () => null
    if (isCurrent && after >= this.#recentAfter) return () => this.#missed(epoch, after, [], after)
    // An earlier epoch may be the beginning of this history: the store knows.
    const reading = await this.#read({ epoch, seq: after })
    if (!reading?.missed) return () => null
    const { state } = reading
    if (state.epoch !== this.#state?.epoch || state.seq > this.#state.seq) await this.recover()
    const older = reading.missed.filter((entry) => entry.class !== 'transient')
    return () => this.#missed(state.epoch, after, older, state.seq)
  }

  close(): void {
    this.#closed = true
    this.#callOffQuiet?.()
    this.#held = []
  }

  /** `older` are the durable entries up to `from`; those above it are remembered here. */
  #missed(epoch: string, after: number, older: readonly Entry[], from: number): readonly Entry[] | null {
    const state = this.#state
    if (state?.epoch !== epoch || from < this.#recentAfter) return null
    const recent = this.#recent.filter((entry) => entry.seq > from)
    const ticks = [...state.latest.values()].filter((entry) => entry.class === 'transient' && entry.seq > after)
    return [...older, ...recent, ...ticks].sort((a, b) => a.seq - b.seq)
  }

  async #load(): Promise<JobState | null> {
    await this.#broker.subscribe(this.id)
    const reading = await this.#broker.read(this.id)
    if (reading) this.#replace(reading.state)
    this.#releaseHeld()
    this.#watchQuiet()
    return this.#state
  }

  async #recoverOnce(): Promise<void> {
    for (;;) {
      const state = this.#state
      if (!state || this.#closed) break
      try {
        const reading = await this.#broker.read(this.id, { epoch: state.epoch, seq: state.seq })
        this.#absorb(state, reading)
        if (!this.#recoverAgain) break
        this.#recoverAgain = false
      } catch (error) {
        // No outage, so it would fail again at once: the next look at a silent job tries once more.
        if (!isOverloaded(error)) {
          this.#onFault(error)
          break
        }
        this.#recoveries.unreachable += 1
        // Redis cannot be reached: the state stays what it is, and readiness says so.
        await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve))
      }
    }
    this.#recovering = undefined
    this.#recoverAgain = false
    this.#releaseHeld()
    this.#watchQuiet()
  }

  #absorb(state: JobState, reading: Reading | null): void {
    if (!reading) {
      this.#recoveries.gone += 1
      this.#state = null
      for (const subscriber of [...this.subscribers]) subscriber.gone()
    } else if (reading.missed) {
      this.#recoveries[reading.missed.length > 0 ? 'entries' : 'nothing'] += 1
      if (reading.state.epoch !== state.epoch) this.#goOn(state, reading.state)
      for (const entry of reading.missed) this.#deliver(state, entry)
      state.seq = reading.state.seq
      state.sinceHeartbeatMs = reading.state.sinceHeartbeatMs
      state.stale = reading.state.stale
    } else {
      this.#recoveries.state += 1
      const fresh = this.#replace(reading.state)
      for (const subscriber of [...this.subscribers]) subscriber.reopened(fresh)
    }
  }

  /** What this node knows is the beginning of the history that the store has now. */
  #goOn(state: JobState, { epoch, generation }: JobState): void {
    state.epoch = epoch
    state.generation = generation
    for (const { subscription } of this.subscribers) subscription.goOn(state)
  }

  #replace(state: JobState): JobState {
    this.#state = state
    this.#recent = []
    this.#recentBytes = 0
    this.#recentAfter = state.seq
    return state
  }

  #deliver(state: JobState, entry: Entry): void {
    advance(state, entry)
    if (entry.class !== 'transient') this.#remember(entry)
    for (const subscriber of this.subscribers) subscriber.subscription.accept(entry)
    this.#watchQuiet()
  }

  #remember(entry: Entry): void {
    this.#recent.push(entry)
    this.#recentBytes += entry.body.length
    while (this.#recent.length > this.#limits.maxRecentEntries || this.#recentBytes > this.#limits.maxRecentBytes) {
      const dropped = this.#recent.shift()
      if (!dropped) return
      this.#recentAfter = dropped.seq
      this.#recentBytes -= dropped.body.length
    }
  }

  #hold(entry: Entry): void {
    if (!this.#closed) this.#held.push(entry)
    // What is dropped here will be missing in order, and so be read.
    if (this.#held.length > MAX_HELD) this.#held.shift()
  }

  /** What follows in order is delivered. The rest is older than the last read, or comes after one more loss: then another read finds it. */
  #releaseHeld(): void {
    const held = this.#held
    this.#held = []
    for (const entry of held) {
      const state = this.#state
      if (!state || entry.generation !== state.generation || entry.seq <= state.seq) continue
      if (entry.seq === state.seq + 1) this.#deliver(state, entry)
      else {
        this.#clock.after(RETRY_MS, () => void this.recover())
        return
      }
    }
  }

  #read(since: { epoch: string; seq: number }): Promise<Reading | null> {
    const key = `${since.epoch} ${since.seq}`
    let reading = this.#reads.get(key)
    if (!reading) {
      reading = this.#broker.read(this.id, since).finally(() => this.#reads.delete(key))
      this.#reads.set(key, reading)
    }
    return reading
  }

  #watchQuiet(): void {
    this.#callOffQuiet?.()
    if (!this.#closed) this.#callOffQuiet = this.#clock.after(this.#limits.quietMs, () => void this.recover())
  }
}
