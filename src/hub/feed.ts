import type { Announcement, Feeds, Roll } from '../broker/feeds.js'
import type { Clock } from './clock.js'
import type { Kept } from './registry.js'

/** Who wants to know of every job of a user. */
export interface Follower {
  /** This job is there, or begins another round. May be told more than once. */
  announced(id: string): void
}

const RETRY_MS = 500

/** A user's channel on this node, for any number of followers. Its count is healed as a job's is: by reading the roll again. */
export class Feed implements Kept {
  readonly owner: string
  readonly followers = new Set<Follower>()
  readonly #feeds: Feeds
  readonly #clock: Clock
  readonly #quietMs: number
  #count: Pick<Roll, 'generation' | 'seq'> | null = null
  /** The newest announcement that came before its turn. */
  #ahead: Announcement | undefined
  #subscribing: Promise<void> | undefined
  #reading: Promise<Roll> | undefined
  #healing: Promise<void> | undefined
  #callOffQuiet: (() => void) | undefined
  #closed = false

  constructor(owner: string, feeds: Feeds, clock: Clock, quietMs: number) {
    this.owner = owner
    this.#feeds = feeds
    this.#clock = clock
    this.#quietMs = quietMs
  }

  get isIdle(): boolean {
    return this.followers.size === 0
  }

  /** The user's jobs now; whatever comes later is told to the followers. Subscribes first and reads after, so nothing falls between. */
  async roll(): Promise<Roll> {
    this.#subscribing ??= this.#feeds.subscribe(this.owner).catch((error: unknown) => {
      this.#subscribing = undefined
      throw error
    })
    await this.#subscribing
    // Not one that is under way: it may have been answered before what the caller knows of was written.
    await this.#reading?.catch(() => {})
    return this.#read()
  }

  receive(announcement: Announcement): void {
    const count = this.#count
    if (!count || this.#reading) this.#ahead = announcement
    else if (announcement.generation !== count.generation || announcement.seq > count.seq + 1) this.heal()
    else if (announcement.seq === count.seq + 1) {
      this.#count = announcement
      this.#tell([announcement.id])
    }
  }

  /** Reads what may have been missed, and tries until Redis answers. */
  heal(): void {
    if (this.#closed || !this.#count) return
    this.#healing ??= this.#heal().finally(() => {
      this.#healing = undefined
    })
  }

  close(): void {
    this.#closed = true
    this.#callOffQuiet?.()
  }

  #read(): Promise<Roll> {
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

  #adopt(roll: Roll): void {
    const ahead = this.#ahead
    this.#ahead = undefined
    this.#count = roll
    this.#tell(roll.active)
    this.#watchQuiet()
    if (ahead && (ahead.generation !== roll.generation || ahead.seq > roll.seq)) this.heal()
  }

  async #heal(): Promise<void> {
    // In a later turn, so that a read that is under way has ended.
    await this.#reading?.catch(() => {})
    while (!this.#closed) {
      try {
        await this.#read()
        return
      } catch {
        await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve))
      }
    }
  }

  #tell(ids: readonly string[]): void {
    for (const id of ids) for (const follower of this.followers) follower.announced(id)
  }

  #watchQuiet(): void {
    this.#callOffQuiet?.()
    if (!this.#closed) this.#callOffQuiet = this.#clock.after(this.#quietMs, () => this.heal())
  }
}
