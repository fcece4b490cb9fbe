import type { Dialect } from '../../core/dialect.js'
import type { Position } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import type { Outbox } from '../outbox.js'
import type { StartMode, Subscription } from '../subscription.js'
import type { CatchUp, Subscriber, Topic } from '../topic.js'

/** What a session tells the hub when it wants a job. */
export interface SubscribeOptions {
  readonly id: string
  readonly dialect: Dialect
  readonly outbox: Outbox
  /** Where the client left off; `start`: nothing of it has been told. */
  readonly after?: Position | 'start'
  /** Asked now and again in a new epoch, since an id may have passed to another owner or kind. */
  readonly mayView: (state: JobState) => boolean
  /** The job has expired (`gone`), or is no longer for this client (`forbidden`). */
  readonly lost: (why: 'gone' | 'forbidden') => void
  /** The final message with this seq has left for the client, or was there already. */
  readonly ended?: (seq: number) => void
}

/** A session's hold on a job: prepared, then begun in one turn, so that several can begin at one moment. Released by whoever got it. */
export class SubscriptionHandle implements Subscriber {
  readonly subscription: Subscription
  readonly #topic: Topic
  readonly #options: SubscribeOptions
  readonly #maxReplayBytes: number
  readonly #leave: (hold: SubscriptionHandle) => void
  #catchUp: CatchUp = () => null

  constructor(
    topic: Topic,
    subscription: Subscription,
    wish: SubscribeOptions,
    maxReplayBytes: number,
    leave: (hold: SubscriptionHandle) => void,
  ) {
    this.#topic = topic
    this.subscription = subscription
    this.#options = wish
    this.#maxReplayBytes = maxReplayBytes
    this.#leave = leave
  }

  /** Most bytes that are replayed for one client at a time. */
  get maxReplayBytes(): number {
    return this.#maxReplayBytes
  }

  get id(): string {
    return this.#options.id
  }

  /** Null where the job has expired. */
  get state(): JobState | null {
    return this.#topic.state
  }

  /** Reads what the client has missed since it was last told something, as far as this node does not know it. */
  async prepare(): Promise<void> {
    const { after } = this.#options
    const { epoch } = this.#topic.state ?? {}
    if (after && epoch !== undefined) this.subscription.startAt(after === 'start' ? { epoch, seq: 0 } : after)
    const { position } = this.subscription
    this.#catchUp = position ? await this.#topic.catchUp(position.epoch, position.seq) : () => null
  }

  /** Reads the job again: what this node knows of it may be older than the word that the caller has. */
  refresh(): Promise<void> {
    return this.#topic.recover()
  }

  /**
   * In one turn, so that no entry falls between. More than a client may be made to wait for is not replayed: the whole state is smaller.
   * `maxBytes` is what is left of that for a session that begins several; answers how many the replay takes.
   */
  start(opening: StartMode, resync = false, maxBytes = this.#maxReplayBytes): number {
    const { state } = this.#topic
    if (!state) {
      this.#options.lost('gone')
      return 0
    }
    const missed = opening === 'listed' ? null : this.#catchUp()
    const bytes = missed?.reduce((sum, entry) => sum + entry.body.length, 0) ?? 0
    const fits = bytes <= maxBytes
    this.subscription.start(state, fits ? missed : null, opening, resync)
    return fits ? bytes : 0
  }

  /** Whether the client may still view the job is asked again. */
  recheck(): void {
    if (this.state && !this.#options.mayView(this.state)) this.#options.lost('forbidden')
  }

  /** What already waits for the client still leaves. */
  release(): void {
    this.#leave(this)
  }

  reopened(state: JobState): void {
    if (this.#options.mayView(state)) this.subscription.reopen(state)
    else this.#options.lost('forbidden')
  }

  gone(): void {
    this.#options.lost('gone')
  }
}
