import type { Clock } from '../core/clock.js'
import type { Dialect } from '../core/dialect.js'
import type { Entry } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { isOverloaded, RuncastError } from '../protocol/codes.js'
import type { Broker } from '../storage/broker.js'
import type { ActiveIndex, Feeds } from '../storage/feeds.js'
import type { TelemetryStore } from '../storage/telemetry.js'
import { ArtifactSubscription } from './artifact-subscription.js'
import { EntryFrames } from './frame.js'
import { HealthSubscription } from './health-subscription.js'
import { HubTally } from './hub-tally.js'
import { LogSubscription } from './log-subscription.js'
import type { OutboxLimits } from './outbox.js'
import { Registry } from './registry.js'
import { Feed, type Follower } from './scopes/feed.js'
import { type SubscribeOptions, SubscriptionHandle, type TelemetryPart } from './scopes/subscription-handle.js'
import { SeriesSubscription } from './series-subscription.js'
import { Subscription } from './subscription.js'
import { TelemetryTopic } from './telemetry-topic.js'
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

/** A session's subscription to a user's feed. `index` rejects if Redis cannot be reached. */
export interface FeedSubscription {
  index(): Promise<ActiveIndex>
  /** Reports all active jobs again. */
  refresh(): void
  leave(): void
}

export interface HubPorts {
  readonly broker: Broker
  readonly feeds: Feeds
  readonly telemetry: TelemetryStore
  readonly clock: Clock
  /** Receives errors that are sent to no client and are not an outage of Redis. */
  readonly onFault?: (error: unknown) => void
}

/**
 * hop 6: from subscriber to subscription. Finds the job's topic on this node. The hub is a keyed
 * publish/subscribe with a state that is replayed to each new subscriber. It knows entries, keys and classes, but
 * nothing about what any kind of job computes.
 */
export class Hub {
  readonly tally = new HubTally()
  readonly #broker: Broker
  readonly #limits: HubLimits
  readonly #frames = new Map<Dialect, EntryFrames>()
  readonly #topics: Registry<Topic>
  readonly #feeds: Registry<Feed>
  readonly #telemetry: Registry<TelemetryTopic>

  constructor(ports: HubPorts, limits: HubLimits) {
    const { broker, feeds, telemetry, clock, onFault = () => {} } = ports
    const fault = (error: unknown) => {
      if (!isOverloaded(error)) onFault(error)
    }
    const { lingerMs, quietMs } = limits
    this.#limits = limits
    // A channel that could not be unsubscribed is dropped at the next reconnect: it is not subscribed to again.
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
    this.#telemetry = new Registry({
      clock,
      lingerMs,
      create: (id) => new TelemetryTopic(id, { telemetry, clock, onFault }, quietMs),
      dropped: (id) => void telemetry.unsubscribe(id).catch(fault),
    })
    this.#broker = broker
    broker.listen({ entry: (entry) => this.deliver(entry), gap: (id) => void this.#topics.find(id)?.recover() })
    feeds.listen({
      changed: (change) => this.#feeds.find(change.owner)?.receive(change),
      gap: (owner) => this.#feeds.find(owner)?.recover(),
    })
    telemetry.listen({
      added: (increment) => this.#telemetry.find(increment.id)?.receive(increment),
      gap: (id) => this.#telemetry.find(id)?.recover(),
    })
  }

  get limits(): HubLimits {
    return this.#limits
  }

  /** Jobs that this node has subscribed to. */
  get topics(): number {
    return this.#topics.all.length
  }

  /** Subscriptions to jobs, summed over all clients. */
  get subscriptions(): number {
    return this.#topics.all.reduce((sum, { subscribers }) => sum + subscribers.size, 0)
  }

  deliver(entry: Entry): void {
    this.tally.received += 1
    this.#topics.find(entry.id)?.receive(entry)
  }

  /**
   * Subscribes a session to a job. The state is loaded, but nothing is sent before `start`. Null if there is no such
   * job for this client. Rejects if Redis cannot be reached.
   */
  async subscribe(options: SubscribeOptions): Promise<SubscriptionHandle | null> {
    const topic = this.#topics.get(options.id)
    const ended = (seq: number) => {
      options.ended?.(seq)
      handle.jobEnded()
    }
    const subscription = new Subscription(this.#framesOf(options.dialect), options.outbox, ended)
    const handle = new SubscriptionHandle(topic, subscription, options, this.#limits.maxOutboxBytes / 2, () => this.#leave(topic, handle))
    // From here on the topic is kept. The subscription accepts nothing before `start`.
    topic.subscribers.add(handle)
    try {
      await topic.load()
      await handle.prepare()
      if (handle.view()) {
        handle.attach(await this.#telemetryOf(topic, options, handle))
        if (handle.view()) return handle
      }
    } catch (error) {
      handle.release()
      return absence(error)
    }
    handle.release()
    return null
  }

  /** Follows a user's feed: every change from now on and, after `index`, the jobs that exist already. */
  follow(owner: string, follower: Follower): FeedSubscription {
    const feed = this.#feeds.get(owner)
    feed.followers.add(follower)
    const leave = () => {
      feed.followers.delete(follower)
      this.#feeds.left(owner)
    }
    return { index: () => feed.index(), refresh: () => feed.recover(), leave }
  }

  /** The current state of a job, without a subscription. */
  async peek(id: string): Promise<JobState | null> {
    return this.#topics.find(id)?.state ?? (await this.#broker.read(id).catch(absence))?.state ?? null
  }

  close(): void {
    this.#topics.close()
    this.#feeds.close()
    this.#telemetry.close()
  }

  /** What a subscription sends beside entries. */
  async #telemetryOf(
    jobTopic: Topic,
    { id, dialect, telemetry }: SubscribeOptions,
    handle: SubscriptionHandle,
  ): Promise<readonly TelemetryPart[]> {
    if (!telemetry) return []
    const { pump, log, series, artifacts, health, publicPath } = telemetry
    const view = () => handle.view()
    const ofHealth = health ? [new HealthSubscription({ topic: jobTopic, pump, dialect, view })] : []
    if (!log && !series && !artifacts) return ofHealth
    const topic = this.#telemetry.get(id)
    const ports = { topic, pump, dialect, view, released: () => this.#telemetry.left(id) }
    const parts: TelemetryPart[] = [
      ...ofHealth,
      ...(log ? [new LogSubscription(ports, log)] : []),
      ...(series ? [new SeriesSubscription(ports)] : []),
      ...(artifacts ? [new ArtifactSubscription(ports, publicPath)] : []),
    ]
    try {
      await topic.open()
    } catch (error) {
      for (const part of parts) part.release()
      throw error
    }
    return parts
  }

  #framesOf(dialect: Dialect): EntryFrames {
    let frames = this.#frames.get(dialect)
    if (!frames) {
      frames = new EntryFrames(dialect, this.tally)
      this.#frames.set(dialect, frames)
    }
    return frames
  }

  #leave(topic: Topic, handle: SubscriptionHandle): void {
    topic.subscribers.delete(handle)
    this.#topics.left(topic.id)
  }
}

/** A job of a kind that this process does not know is reported as absent. */
function absence(error: unknown): null {
  if (error instanceof RuncastError && error.code === 'not_found') return null
  throw error
}
