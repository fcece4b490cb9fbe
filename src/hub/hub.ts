import type { Broker } from '../broker/broker.js'
import type { Dialect } from '../protocol/dialect.js'
import type { Entry, Position } from '../protocol/entry.js'
import type { JobState } from '../protocol/job-state.js'
import type { Clock } from './clock.js'
import { EntryFrames } from './frame.js'
import type { Outbox, OutboxLimits } from './outbox.js'
import { Subscription } from './subscription.js'
import { type CatchUp, type Subscriber, Topic, type TopicLimits } from './topic.js'

export interface HubLimits extends OutboxLimits, TopicLimits {
  /** How long a topic stays subscribed after its last client left, so that a page reload costs nothing. */
  readonly lingerMs: number
}

export const DEFAULT_HUB_LIMITS: HubLimits = {
  maxOutboxBytes: 1024 * 1024,
  stallMs: 30_000,
  quietMs: 10_000,
  maxRecentEntries: 256,
  maxRecentBytes: 256 * 1024,
  lingerMs: 5000,
}

/** What a session tells the hub when it wants a job. */
export interface Opening {
  readonly id: string
  readonly dialect: Dialect
  readonly outbox: Outbox
  /** Where the client left off. */
  readonly after?: Position
  /** Asked now and again in a new epoch, since an id may have passed to another owner. */
  readonly mayView: (state: JobState) => boolean
  /** Takes the hold before anything is enqueued, since the outbox may overflow at once. */
  readonly opened: (held: Held) => void
  /** The job has expired, or is no longer for this client. */
  readonly lost: () => void
}

/** A session's hold on a job. */
export interface Held {
  /** The client's backlog was dropped: nothing more is taken for it until `resync`. */
  fallBehind(): void
  /** After the client's backlog was dropped and it reads again. */
  resync(): Promise<void>
  /** Whether the client may still view the job is asked again: its token was renewed. */
  recheck(): void
  release(): void
}

/**
 * hop 6: from redis-subscriber, to subscription. Finds the job's topic on this node. The hub knows entries, keys and classes, not what a mesh or a
 * model is: keyed publish and subscribe, with a state that is replayed to whoever comes.
 */
export class Hub {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #limits: HubLimits
  readonly #topics = new Map<string, Topic>()
  readonly #frames = new Map<Dialect, EntryFrames>()
  readonly #lingering = new Map<string, () => void>()

  constructor(broker: Broker, clock: Clock, limits: HubLimits) {
    this.#broker = broker
    this.#clock = clock
    this.#limits = limits
    broker.listen({ entry: (entry) => this.deliver(entry), gap: (id) => void this.#topics.get(id)?.heal() })
  }

  get limits(): HubLimits {
    return this.#limits
  }

  deliver(entry: Entry): void {
    this.#topics.get(entry.id)?.receive(entry)
  }

  /**
   * Opens a job for a session: snapshot, what belongs to it, then live. False where there is no such job for this client.
   * Rejects where Redis cannot be reached.
   */
  async open(opening: Opening): Promise<boolean> {
    const topic = this.#topic(opening.id)
    const subscription = new Subscription(this.#framesOf(opening.dialect), opening.outbox, opening.after)
    const subscriber: Subscriber = {
      subscription,
      reopened: (state) => (opening.mayView(state) ? subscription.reopen(state) : opening.lost()),
      gone: opening.lost,
    }
    // From here on the topic stays; the subscription takes nothing before `begin`.
    topic.subscribers.add(subscriber)
    try {
      const isThere = await this.#begin(topic, subscriber, opening)
      if (!isThere) this.#leave(topic, subscriber)
      return isThere
    } catch (error) {
      this.#leave(topic, subscriber)
      throw error
    }
  }

  close(): void {
    for (const callOff of this.#lingering.values()) callOff()
    for (const topic of this.#topics.values()) topic.close()
    this.#topics.clear()
  }

  async #begin(topic: Topic, subscriber: Subscriber, opening: Opening): Promise<boolean> {
    await topic.load()
    const { subscription } = subscriber
    const catchUp = opening.after ? await topic.catchUp(opening.after.epoch, opening.after.seq) : () => null
    if (!topic.state || !opening.mayView(topic.state)) return false
    opening.opened({
      fallBehind: () => subscription.fallBehind(),
      resync: () => this.#resync(topic, subscription),
      recheck: () => topic.state && !opening.mayView(topic.state) && opening.lost(),
      release: () => this.#leave(topic, subscriber),
    })
    this.#catchUp(subscription, topic.state, catchUp, false)
    return true
  }

  async #resync(topic: Topic, subscription: Subscription): Promise<void> {
    const { position } = subscription
    const catchUp = position ? await topic.catchUp(position.epoch, position.seq) : () => null
    if (topic.state && subscription.isLagging) this.#catchUp(subscription, topic.state, catchUp, true)
  }

  /** In one turn, so that no entry falls between. More than an outbox may hold is not replayed: the whole state is smaller. */
  #catchUp(subscription: Subscription, state: JobState, catchUp: CatchUp, resync: boolean): void {
    const missed = catchUp()
    const bytes = missed?.reduce((sum, entry) => sum + entry.body.length, 0) ?? 0
    subscription.begin(state, bytes > this.#limits.maxOutboxBytes / 2 ? null : missed, resync)
  }

  #topic(id: string): Topic {
    this.#lingering.get(id)?.()
    this.#lingering.delete(id)
    let topic = this.#topics.get(id)
    if (!topic) {
      topic = new Topic(id, this.#broker, this.#clock, this.#limits)
      this.#topics.set(id, topic)
    }
    return topic
  }

  #framesOf(dialect: Dialect): EntryFrames {
    let frames = this.#frames.get(dialect)
    if (!frames) {
      frames = new EntryFrames(dialect)
      this.#frames.set(dialect, frames)
    }
    return frames
  }

  #leave(topic: Topic, subscriber: Subscriber): void {
    topic.subscribers.delete(subscriber)
    if (topic.subscribers.size > 0 || this.#lingering.has(topic.id)) return
    const callOff = this.#clock.after(this.#limits.lingerMs, () => {
      this.#lingering.delete(topic.id)
      if (topic.subscribers.size > 0) return
      topic.close()
      this.#topics.delete(topic.id)
      // A failure here leaves a channel that the next reconnect does not ask for again.
      this.#broker.unsubscribe(topic.id).catch(() => {})
    })
    this.#lingering.set(topic.id, callOff)
  }
}
