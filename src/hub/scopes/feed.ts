import type { Clock } from '../../core/clock.js'
import type { ActiveIndex, Feeds, IndexChange } from '../../storage/feeds.js'
import { type Counted, GapRecovery } from '../gap-recovery.js'
import type { Kept } from '../registry.js'

/** Who wants to know of every job of a user. */
export interface Follower {
  /**
   * This job is there, or begins another round. May be told more than once, and of a job that has ended since.
   * `isNews` false: nothing was announced, it is among the active ones as before.
   */
  changed(id: string, isNews: boolean): void
}

interface FeedPorts {
  readonly feeds: Feeds
  readonly clock: Clock
  /** Faults that are no outage of Redis. */
  readonly onFault: (error: unknown) => void
}

/** A user's channel on this node, for any number of followers. It is kept complete as a job's is: after a gap the active-jobs index is read again. */
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
      // It may have ended before the index was read.
      covered: ({ id }) => this.#notify([id], true),
      read: () => this.#read(),
      onFault,
    })
  }

  get isIdle(): boolean {
    return this.followers.size === 0
  }

  /** The user's jobs now; the followers are told of whatever comes later. Subscribes first and reads after, so nothing falls between. */
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

  /** Reads what may have been missed, and tries until Redis answers. */
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
    // What was missed may have ended since.
    if (isNews) this.#notify(index.ended.toReversed(), true)
    return index
  }

  #notify(ids: readonly string[], isNews: boolean): void {
    for (const id of ids) for (const follower of this.followers) follower.changed(id, isNews)
  }
}
