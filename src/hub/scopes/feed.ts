import type { Clock } from '../../core/clock.js'
import type { ActiveIndex, Feeds, IndexChange } from '../../storage/feeds.js'
import { type Counted, GapRecovery } from '../gap-recovery.js'
import type { Kept } from '../registry.js'

/** Receives the changes of all jobs of a user. */
export interface Follower {
  /**
   * The job exists, or begins another execution. May be called more than once, and for a job that has ended since.
   * `isNews` is false if nothing was published: the job is active as before.
   */
  changed(id: string, isNews: boolean): void
}

interface FeedPorts {
  readonly feeds: Feeds
  readonly clock: Clock
  /** Receives errors that are not an outage of Redis. */
  readonly onFault: (error: unknown) => void
}

/**
 * A user's channel on this node, for any number of followers. It is kept complete as a job's channel is: after a gap
 * the active-jobs index is read again.
 */
export class Feed implements Kept {
  readonly owner: string
  readonly followers = new Set<Follower>()
  readonly #feeds: Feeds
  readonly #recovery: GapRecovery<IndexChange, ActiveIndex>
  #position: Counted | null = null
  #subscribing: Promise<void> | undefined

  constructor(owner: string, { feeds, clock, onFault }: FeedPorts, quietMs: number) {
    this.owner = owner
    this.#feeds = feeds
    this.#recovery = new GapRecovery({
      clock,
      quietMs,
      position: () => this.#position,
      deliver: (change) => this.#take(change),
      // The job may have ended before the index was read.
      covered: ({ id }) => this.#notify([id], true),
      read: () => this.#read(),
      onFault,
    })
  }

  get isIdle(): boolean {
    return this.followers.size === 0
  }

  /**
   * The user's current jobs. Followers receive every later change. Subscribes first and reads afterwards, so that no
   * change is lost in between.
   */
  async index(): Promise<ActiveIndex> {
    this.#subscribing ??= this.#feeds.subscribe(this.owner).catch((error: unknown) => {
      this.#subscribing = undefined
      throw error
    })
    await this.#subscribing
    return this.#recovery.refresh()
  }

  receive(change: IndexChange): void {
    this.#recovery.receive(change)
  }

  /** Reads what may have been missed, and retries until Redis answers. */
  recover(): Promise<void> {
    return this.#recovery.recover()
  }

  close(): void {
    this.#recovery.close()
  }

  #take(change: IndexChange): void {
    this.#position = change
    this.#notify([change.id], true)
  }

  async #read(): Promise<ActiveIndex> {
    const index = await this.#feeds.read(this.owner)
    const before = this.#position
    this.#position = index
    const isNews = before !== null && (before.generation !== index.generation || before.seq < index.seq)
    this.#notify(index.active, isNews)
    // A job whose change was missed may have ended since.
    if (isNews) this.#notify(index.ended.toReversed(), true)
    return index
  }

  #notify(ids: readonly string[], isNews: boolean): void {
    for (const id of ids) for (const follower of this.followers) follower.changed(id, isNews)
  }
}
