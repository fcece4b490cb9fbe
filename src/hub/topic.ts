import type { Clock } from '../core/clock.js'
import type { Entry } from '../core/entry.js'
import { advance, type JobState } from '../core/job-state.js'
import type { Broker, Reading } from '../storage/broker.js'
import { GapRecovery } from './gap-recovery.js'
import { HealthTracker } from './health-tracker.js'
import type { HubTally } from './hub-tally.js'
import type { Kept } from './registry.js'
import type { Subscription } from './subscription.js'

export interface TopicLimits {
  /** How long a job may be silent before its stored seq is compared. */
  readonly quietMs: number
  /** Maximum entries of a job, and their bytes, that a node keeps for clients that resume. */
  readonly maxRecentEntries: number
  readonly maxRecentBytes: number
}

/**
 * A subscriber of a topic. `attemptBegun`: the job has begun another attempt. `reopened`: the job has a new count.
 * `gone`: the job has expired.
 */
export interface Subscriber {
  readonly subscription: Subscription
  attemptBegun(): void
  reopened(state: JobState): void
  gone(): void
}

/** Null: the missed entries are not available, only the whole state is. */
export type CatchUp = () => readonly Entry[] | null

export interface TopicPorts {
  readonly broker: Broker
  readonly clock: Clock
  readonly tally: HubTally
  /** Receives errors that are not an outage of Redis. */
  readonly onFault: (error: unknown) => void
}

/**
 * A job on this node: its state, kept complete, for any number of subscribers. Only the topic reads Redis, once for all
 * of them.
 */
export class Topic implements Kept {
  readonly id: string
  readonly subscribers = new Set<Subscriber>()
  readonly health: HealthTracker
  readonly #broker: Broker
  readonly #limits: TopicLimits
  readonly #recoveries: HubTally['recoveries']
  readonly #recovery: GapRecovery<Entry, void>
  #state: JobState | null = null
  #loading: Promise<JobState | null> | undefined
  /** All persisted entries with a seq above `#recentAfter`. */
  #recent: Entry[] = []
  #recentAfter = 0
  #recentBytes = 0
  readonly #reads = new Map<string, Promise<Reading | null>>()

  constructor(id: string, { broker, clock, tally, onFault }: TopicPorts, limits: TopicLimits) {
    this.id = id
    this.#broker = broker
    this.#recoveries = tally.recoveries
    this.#limits = limits
    this.health = new HealthTracker(clock)
    this.#recovery = new GapRecovery({
      clock,
      quietMs: limits.quietMs,
      position: () => this.#state,
      deliver: (entry) => {
        this.#deliver(entry)
        this.look()
      },
      read: () => this.#readOn(),
      // The state is kept as it is, and readiness reports the outage.
      onUnreachable: () => {
        this.#recoveries.unreachable += 1
      },
      onFault,
    })
  }

  get isIdle(): boolean {
    return this.subscribers.size === 0
  }

  get state(): JobState | null {
    return this.#state
  }

  /**
   * The state, complete and live from then on. Null if there is no such job. Subscribes first and reads afterwards, so
   * that no entry is lost in between.
   */
  load(): Promise<JobState | null> {
    if (this.#state) return Promise.resolve(this.#state)
    // Neither a failure nor an absence is cached: the job may be submitted in a moment.
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  /** The next entry of the channel. In sequence: deliver to all. After a gap: read what is missing. */
  receive(entry: Entry): void {
    this.#recovery.receive(entry)
  }

  /** Judges the health of the job again, if anybody follows it. */
  look(): void {
    this.health.look(this.#state)
  }

  /** Reads what may have been missed, and retries until Redis answers. Concurrent calls share one read. */
  recover(): Promise<void> {
    const recover = () => this.#recovery.recover()
    // The first read may have begun too early.
    return this.#state ? recover() : (this.#loading?.then(recover, () => {}) ?? recover())
  }

  /**
   * Prepares what a client at `after` has missed: persisted entries, and the latest transient event per key. The
   * returned function answers for the moment of its call, so that no entry is lost between the answer and a
   * subscription that starts with it. It returns null if the log does not provably reach back that far.
   */
  async catchUp(epoch: string, after: number): Promise<CatchUp> {
    const isCurrent = this.#state?.epoch === epoch
    const isKnown = after >= this.#recentAfter && after <= (this.#state?.seq ?? 0)
    if (isCurrent && isKnown) return () => this.#missed(epoch, after, [], after)
    // An earlier epoch may be the beginning of this history, and another hub may have sent what this one has not
    // received yet. Only the store knows.
    const reading = await this.#read({ epoch, seq: after })
    if (!reading?.missed) return () => null
    const { state } = reading
    if (state.epoch !== this.#state?.epoch || state.seq > this.#state.seq) await this.recover()
    const older = reading.missed.filter((entry) => entry.class !== 'transient')
    return () => this.#missed(state.epoch, after, older, state.seq)
  }

  close(): void {
    this.#recovery.close()
  }

  /** `older` are the persisted entries up to `from`; those above it are kept here. */
  #missed(epoch: string, after: number, older: readonly Entry[], from: number): readonly Entry[] | null {
    const state = this.#state
    if (state?.epoch !== epoch || from < this.#recentAfter) return null
    const recent = this.#recent.filter((entry) => entry.seq > from)
    const transient = [...state.latest.values()].filter((entry) => entry.class === 'transient' && entry.seq > after)
    return [...older, ...recent, ...transient].sort((a, b) => a.seq - b.seq)
  }

  async #load(): Promise<JobState | null> {
    await this.#broker.subscribe(this.id)
    await this.#recovery.refresh()
    return this.#state
  }

  /** Reads the whole state at first, later the entries missed since. */
  async #readOn(): Promise<void> {
    const state = this.#state
    const reading = await this.#broker.read(this.id, state ? { epoch: state.epoch, seq: state.seq } : undefined)
    if (state) this.#absorb(state, reading)
    else if (reading) this.#replace(reading.state)
    this.look()
  }

  #absorb(state: JobState, reading: Reading | null): void {
    if (!reading) {
      this.#recoveries.gone += 1
      this.#state = null
      for (const subscriber of [...this.subscribers]) subscriber.gone()
    } else if (reading.missed) {
      this.#recoveries[reading.missed.length > 0 ? 'entries' : 'nothing'] += 1
      if (reading.state.epoch !== state.epoch) this.#changeEpoch(state, reading.state)
      for (const entry of reading.missed) this.#deliver(entry)
      state.seq = reading.state.seq
      state.sinceHeartbeatMs = reading.state.sinceHeartbeatMs
      state.stale = reading.state.stale
      this.#rename(state, reading.state)
    } else {
      this.#recoveries.state += 1
      const fresh = this.#replace(reading.state)
      for (const subscriber of [...this.subscribers]) subscriber.reopened(fresh)
    }
  }

  /** Words are no entries: each read of the job brings them. */
  #rename(state: JobState, { words }: JobState): void {
    if (JSON.stringify(state.words) === JSON.stringify(words)) return
    if (words) state.words = words
    else delete state.words
    for (const { subscription } of this.subscribers) subscription.renamed(state)
  }

  /** What this node knows is the beginning of the history that the store has now. */
  #changeEpoch(state: JobState, { epoch, generation }: JobState): void {
    state.epoch = epoch
    state.generation = generation
    for (const { subscription } of this.subscribers) subscription.changeEpoch(state)
  }

  #replace(state: JobState): JobState {
    this.#state = state
    this.#recent = []
    this.#recentBytes = 0
    this.#recentAfter = state.seq
    return state
  }

  #deliver(entry: Entry): void {
    if (this.#state) advance(this.#state, entry)
    if (entry.class !== 'transient') this.#remember(entry)
    for (const subscriber of this.subscribers) subscriber.subscription.accept(entry)
    if (entry.clears) for (const subscriber of this.subscribers) subscriber.attemptBegun()
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

  #read(since: { epoch: string; seq: number }): Promise<Reading | null> {
    const key = `${since.epoch} ${since.seq}`
    let reading = this.#reads.get(key)
    if (!reading) {
      reading = this.#broker.read(this.id, since).finally(() => this.#reads.delete(key))
      this.#reads.set(key, reading)
    }
    return reading
  }
}
