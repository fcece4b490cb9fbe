import type { Clock } from '../core/clock.js'
import type { Dialect } from '../core/dialect.js'
import type { Entry } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { isOverloaded, RuncastError } from '../protocol/codes.js'
import type { Broker } from '../storage/broker.js'
import type { ActiveIndex, Feeds } from '../storage/feeds.js'
import { EntryFrames } from './frame.js'
import { HubTally } from './hub-tally.js'
import type { OutboxLimits } from './outbox.js'
import { Registry } from './registry.js'
import { Feed, type Follower } from './scopes/feed.js'
import { type SubscribeOptions, SubscriptionHandle } from './scopes/subscription-handle.js'
import { Subscription } from './subscription.js'
import { Topic, type TopicLimits } from './topic.js'

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

/** A session's hold on a user's feed. `roll` rejects where Redis cannot be reached. */
export interface Following {
  index(): Promise<ActiveIndex>
  /** All active jobs are announced again. */
  refresh(): void
  leave(): void
}

export interface HubPorts {
  readonly broker: Broker
  readonly feeds: Feeds
  readonly clock: Clock
  /** Faults that no client is told of, and that are no outage of Redis. */
  readonly onFault?: (error: unknown) => void
}

/**
 * hop 6: from redis-subscriber, to subscription. Finds the job's topic on this node. The hub knows entries, keys and classes, not what a mesh or a
 * model is: keyed publish and subscribe, with a state that is replayed to whoever comes.
 */
export class Hub {
  readonly tally = new HubTally()
  readonly #broker: Broker
  readonly #limits: HubLimits
  readonly #frames = new Map<Dialect, EntryFrames>()
  readonly #topics: Registry<Topic>
  readonly #feeds: Registry<Feed>

  constructor(ports: HubPorts, limits: HubLimits) {
    const { broker, feeds, clock, onFault = () => {} } = ports
    const fault = (error: unknown) => {
      if (!isOverloaded(error)) onFault(error)
    }
    const { lingerMs, quietMs } = limits
    this.#limits = limits
    // A channel that could not be left is one that the next reconnect does not ask for again.
    this.#topics = new Registry({
      clock,
      lingerMs,
      create: (id) => new Topic(id, { broker, clock, tally: this.tally, onFault }, limits),
      dropped: (id) => void broker.unsubscribe(id).catch(fault),
    })
    this.#feeds = new Registry({
      clock,
      lingerMs,
      create: (owner) => new Feed(owner, { feeds, clock, onFault }, quietMs),
      dropped: (owner) => void feeds.unsubscribe(owner).catch(fault),
    })
    this.#broker = broker
    broker.listen({ entry: (entry) => this.deliver(entry), gap: (id) => void this.#topics.find(id)?.recover() })
    feeds.listen({
      changed: (announcement) => this.#feeds.find(announcement.owner)?.receive(announcement),
      gap: (owner) => this.#feeds.find(owner)?.recover(),
    })
  }

  get limits(): HubLimits {
    return this.#limits
  }

  /** Jobs that this node follows. */
  get topics(): number {
    return this.#topics.all.length
  }

  /** Jobs followed, summed over the clients. */
  get subscriptions(): number {
    return this.#topics.all.reduce((sum, { subscribers }) => sum + subscribers.size, 0)
  }

  deliver(entry: Entry): void {
    this.tally.received += 1
    this.#topics.find(entry.id)?.receive(entry)
  }

  /** Holds a job for a session, its state at hand, not yet begun. Null where there is no such job for this client. Rejects where Redis cannot be reached. */
  async subscribe(wish: SubscribeOptions): Promise<SubscriptionHandle | null> {
    const topic = this.#topics.get(wish.id)
    const subscription = new Subscription(this.#framesOf(wish.dialect), wish.outbox, wish.ended)
    const hold = new SubscriptionHandle(topic, subscription, wish, this.#limits.maxOutboxBytes / 2, () => this.#leave(topic, hold))
    // From here on the topic stays; the subscription takes nothing before `begin`.
    topic.subscribers.add(hold)
    try {
      await topic.load()
      await hold.prepare()
      if (topic.state && wish.mayView(topic.state)) return hold
    } catch (error) {
      this.#leave(topic, hold)
      return absence(error)
    }
    this.#leave(topic, hold)
    return null
  }

  /** Follows a user's feed: every job that is announced from now on, and, with `roll`, those that are there. */
  follow(owner: string, follower: Follower): Following {
    const feed = this.#feeds.get(owner)
    feed.followers.add(follower)
    const leave = () => {
      feed.followers.delete(follower)
      this.#feeds.left(owner)
    }
    return { index: () => feed.index(), refresh: () => feed.recover(), leave }
  }

  /** The state of a job at this moment, without following it. */
  async look(id: string): Promise<JobState | null> {
    return this.#topics.find(id)?.state ?? (await this.#broker.read(id).catch(absence))?.state ?? null
  }

  close(): void {
    this.#topics.close()
    this.#feeds.close()
  }

  #framesOf(dialect: Dialect): EntryFrames {
    let frames = this.#frames.get(dialect)
    if (!frames) {
      frames = new EntryFrames(dialect, this.tally)
      this.#frames.set(dialect, frames)
    }
    return frames
  }

  #leave(topic: Topic, hold: SubscriptionHandle): void {
    topic.subscribers.delete(hold)
    this.#topics.left(topic.id)
  }
}

/** A job of a kind that only other processes know is to this one as if there were none. */
function absence(error: unknown): null {
  if (error instanceof RuncastError && error.code === 'not_found') return null
  throw error
}
