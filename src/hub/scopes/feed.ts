import type { Clock } from '../../core/clock.js'
import { isOverloaded } from '../../protocol/codes.js'
import type { ActiveIndex, Feeds, IndexChange } from '../../storage/feeds.js'
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

const RETRY_MS = 500
const MAX_AHEAD = 1000

/** A user's channel on this node, for any number of followers. Its count is healed as a job's is: by reading the active-jobs index again. */
export class Feed implements Kept {
  readonly owner: string
  readonly followers = new Set<Follower>()
  readonly #feeds: Feeds
  readonly #clock: Clock
  readonly #quietMs: number
  readonly #onFault: (error: unknown) => void
  #count: Pick<ActiveIndex, 'generation' | 'seq'> | null = null
  /** What came in while the active-jobs index was being read. */
  #ahead: IndexChange[] = []
  #subscribing: Promise<void> | undefined
  #reading: Promise<ActiveIndex> | undefined
  #isRecovering = false
  #recoverAgain = false
  #callOffQuiet: (() => void) | undefined
  #callOffRetry: (() => void) | undefined
  #closed = false

  constructor(owner: string, { feeds, clock, onFault }: FeedPorts, quietMs: number) {
    this.owner = owner
    this.#feeds = feeds
    this.#clock = clock
    this.#onFault = onFault
    this.#quietMs = quietMs
  }

  get isIdle(): boolean {
    return this.followers.size === 0
  }

  /** The user's jobs now; whatever comes later is told to the followers. Subscribes first and reads after, so nothing falls between. */
  async index(): Promise<ActiveIndex> {
    this.#subscribing ??= this.#feeds.subscribe(this.owner).catch((error: unknown) => {
      this.#subscribing = undefined
      throw error
    })
    await this.#subscribing
    // Not one that is under way: it may have been answered before what the caller knows of was written.
    await this.#reading?.catch(() => {})
    return this.#read()
  }

  receive(announcement: IndexChange): void {
    if (this.#closed) return
    if (this.#count && !this.#reading) return this.#take(announcement)
    this.#ahead.push(announcement)
    // What is dropped here is older than what the count will be compared with.
    if (this.#ahead.length > MAX_AHEAD) this.#ahead.shift()
  }

  /** Reads what may have been missed, and tries until Redis answers. */
  recover(): void {
    if (this.#closed || !this.#count) return
    // A read that is under way may have been answered before what is asked for here was written.
    this.#recoverAgain = true
    if (!this.#isRecovering) void this.#recoverOnce()
  }

  close(): void {
    this.#closed = true
    this.#callOffQuiet?.()
    this.#callOffRetry?.()
    this.#ahead = []
  }

  /** In order it is told, ahead of order the active-jobs index tells it. */
  #take(announcement: IndexChange): void {
    const count = this.#count
    if (announcement.generation !== count?.generation || announcement.seq > count.seq + 1) this.recover()
    else if (announcement.seq === count.seq + 1) {
      this.#count = announcement
      this.#notify([announcement.id], true)
    }
  }

  #read(): Promise<ActiveIndex> {
    this.#reading ??= this.#feeds
      .read(this.owner)
      .finally(() => {
        this.#reading = undefined
      })
      .then((roll) => {
        this.#adopt(roll)
        return roll
      })
    return this.#reading
  }

  #adopt(roll: ActiveIndex): void {
    if (this.#closed) return
    const [before, ahead] = [this.#count, this.#ahead]
    this.#count = roll
    this.#ahead = []
    const isNews = before !== null && (before.generation !== roll.generation || before.seq < roll.seq)
    this.#notify(roll.active, isNews)
    // What was missed may have ended since.
    if (isNews) this.#notify(roll.ended.toReversed(), true)
    for (const announcement of ahead) {
      const isCovered = announcement.generation === roll.generation && announcement.seq <= roll.seq
      if (isCovered) this.#notify([announcement.id], true)
      else this.#take(announcement)
    }
    this.#watchQuiet()
  }

  async #recoverOnce(): Promise<void> {
    this.#isRecovering = true
    while (this.#recoverAgain && !this.#closed) {
      // In a later turn, so that a read that is under way has ended.
      await this.#reading?.catch(() => {})
      this.#recoverAgain = false
      try {
        await this.#read()
      } catch (error) {
        // No outage, so it would fail again at once: the next look at a quiet feed tries once more.
        if (!isOverloaded(error)) {
          this.#onFault(error)
          this.#watchQuiet()
          break
        }
        this.#recoverAgain = true
        await new Promise<void>((resolve) => {
          this.#callOffRetry = this.#clock.after(RETRY_MS, resolve)
        })
      }
    }
    this.#isRecovering = false
  }

  #notify(ids: readonly string[], isNews: boolean): void {
    for (const id of ids) for (const follower of this.followers) follower.changed(id, isNews)
  }

  #watchQuiet(): void {
    this.#callOffQuiet?.()
    this.#callOffQuiet = this.#clock.after(this.#quietMs, () => this.recover())
  }
}
