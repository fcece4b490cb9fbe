import type { Dialect } from '../../core/dialect.js'
import type { Position } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { RuncastError } from '../../protocol/codes.js'
import type { LogOptions } from '../log-subscription.js'
import type { Outbox } from '../outbox.js'
import type { StartMode, Subscription } from '../subscription.js'
import type { TelemetryPump } from '../telemetry-pump.js'
import type { CatchUp, Subscriber, Topic } from '../topic.js'

/** What a session asks for when it subscribes to a job. */
export interface SubscribeOptions {
  readonly id: string
  readonly dialect: Dialect
  readonly outbox: Outbox
  /** The client's last position. `start`: the client has received nothing. */
  readonly after?: Position | 'start'
  /** Checked now and again in each new epoch, since an id may pass to another owner or kind. */
  readonly mayView: (state: JobState) => boolean
  /** The job has expired (`gone`), or this client may no longer view it (`forbidden`). */
  readonly lost: (why: 'gone' | 'forbidden') => void
  /** What the client wants beside entries, and what sends it. Default: nothing. */
  readonly telemetry?: TelemetryWish | undefined
  /** The final event with this seq has left for the client, or had left before. */
  readonly ended?: (seq: number) => void
}

/** What a client wants of a job beside its entries. */
export interface TelemetryOptions {
  readonly log?: LogOptions
  /** The curves of its metrics. */
  readonly series?: true
  /** The files that it stores. */
  readonly artifacts?: true
  /** Whether it is stalled or stale. */
  readonly health?: true
}

export interface TelemetryWish extends TelemetryOptions {
  readonly pump: TelemetryPump
  /** What begins each path of this hub. */
  readonly publicPath: string
}

/** A part of a subscription that sends telemetry. */
export interface TelemetryPart {
  start(): void
  release(): void
  /** The job has ended or begun another attempt, or its history is another one. */
  stale(): void
  /** The client has only the first `from` points of a curve. */
  request?(metric: string, from: number): void
  /** Releases it once everything of this execution was sent. */
  finish(): void
}

/**
 * A session's subscription to a job. It is prepared first and then started in one turn, so that several can start at
 * the same moment. Its owner must release it.
 */
export class SubscriptionHandle implements Subscriber {
  readonly subscription: Subscription
  readonly #topic: Topic
  readonly #options: SubscribeOptions
  readonly #maxReplayBytes: number
  readonly #leave: (handle: SubscriptionHandle) => void
  #telemetry: readonly TelemetryPart[] = []
  #catchUp: CatchUp = () => null

  constructor(
    topic: Topic,
    subscription: Subscription,
    options: SubscribeOptions,
    maxReplayBytes: number,
    leave: (handle: SubscriptionHandle) => void,
  ) {
    this.#topic = topic
    this.subscription = subscription
    this.#options = options
    this.#maxReplayBytes = maxReplayBytes
    this.#leave = leave
  }

  /** Maximum bytes that are replayed for one client at a time. */
  get maxReplayBytes(): number {
    return this.#maxReplayBytes
  }

  get id(): string {
    return this.#options.id
  }

  /** Sends telemetry, beginning after the next `start`. */
  attach(parts: readonly TelemetryPart[]): void {
    this.#telemetry = parts
  }

  /** The job has ended: what was reported before is complete. */
  jobEnded(): void {
    for (const part of this.#telemetry) part.stale()
  }

  attemptBegun(): void {
    for (const part of this.#telemetry) part.stale()
  }

  /** The client has only the first `from` points of a curve. Throws `invalid` if it has not asked for curves. */
  requestSeries(metric: string, from: number): void {
    const parts = this.#telemetry.filter(({ request }) => request)
    if (parts.length === 0) throw new RuncastError('invalid', 'Ask for the curves of the job first: series=1.')
    for (const part of parts) part.request?.(metric, from)
  }

  /** The state of the job, if the client may view it. */
  view(): JobState | null {
    const { state } = this.#topic
    return state && this.#options.mayView(state) ? state : null
  }

  /** Null if the job has expired. */
  get state(): JobState | null {
    return this.#topic.state
  }

  /** Reads what the client has missed since its position, as far as this node does not have it. */
  async prepare(): Promise<void> {
    const { after } = this.#options
    const { epoch } = this.#topic.state ?? {}
    if (after && epoch !== undefined) this.subscription.startAt(after === 'start' ? { epoch, seq: 0 } : after)
    const { position } = this.subscription
    this.#catchUp = position ? await this.#topic.catchUp(position.epoch, position.seq) : () => null
  }

  /** Reads the job again: this node's state may be older than what the caller has received. */
  refresh(): Promise<void> {
    return this.#topic.recover()
  }

  /**
   * Starts in one turn, so that no entry is lost in between. If the replay exceeds `maxBytes`, the whole state is sent
   * instead: it is smaller. `maxBytes` is the rest of the budget for a session that starts several subscriptions.
   * Returns the bytes that the replay takes.
   */
  start(mode: StartMode, resync = false, maxBytes = this.#maxReplayBytes): number {
    const { state } = this.#topic
    if (!state) {
      this.#options.lost('gone')
      return 0
    }
    const missed = mode === 'listed' ? null : this.#catchUp()
    const bytes = missed?.reduce((sum, entry) => sum + entry.body.length, 0) ?? 0
    const fits = bytes <= maxBytes
    this.subscription.start(state, fits ? missed : null, mode, resync)
    if (!resync) for (const part of this.#telemetry) part.start()
    return fits ? bytes : 0
  }

  /** Checks again whether the client may view the job. */
  recheck(): void {
    if (this.state && !this.#options.mayView(this.state)) this.#options.lost('forbidden')
  }

  /** Messages that already wait for the client are still sent. */
  release(): void {
    for (const part of this.#telemetry) part.release()
    this.#leave(this)
  }

  /** As `release`, but what belongs to the execution beside its entries is still sent to its end. */
  finish(): void {
    for (const part of this.#telemetry) part.finish()
    this.#leave(this)
  }

  reopened(state: JobState): void {
    if (!this.#options.mayView(state)) return this.#options.lost('forbidden')
    this.subscription.reopen(state)
    for (const part of this.#telemetry) part.stale()
  }

  gone(): void {
    this.#options.lost('gone')
  }
}
