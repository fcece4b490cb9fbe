import { Refusal } from '../../src/protocol/codes.js'
import type { Announcement, FeedListener, Feeds, Roll } from '../../src/storage/feeds.js'
import { MemoryFeeds } from './memory-feeds.js'

/** Feeds whose channel can lose and hold announcements and whose reads can be held, so that races are written, not awaited. */
export class ManualFeeds implements Feeds {
  readonly memory = new MemoryFeeds()
  /** Channels that somebody is subscribed to. */
  readonly subscribed = new Set<string>()
  reads = 0
  failsReads = false
  /** Announcements that the channel loses from now on. */
  loses = 0
  #heldAnnouncements: Announcement[] | undefined
  #heldReads: (() => void)[] | undefined
  #listener: FeedListener = { announced: () => {}, gap: () => {} }

  constructor() {
    this.memory.listen({ announced: (announcement) => this.#deliver(announcement), gap: () => {} })
  }

  holdAnnouncements(): void {
    this.#heldAnnouncements = []
  }

  /** The held announcements, in another order if one is given (indexes). */
  releaseAnnouncements(order?: readonly number[]): void {
    const held = this.#heldAnnouncements ?? []
    this.#heldAnnouncements = undefined
    for (const announcement of order ? order.flatMap((i) => held[i] ?? []) : held) this.#listener.announced(announcement)
  }

  holdReads(): void {
    this.#heldReads = []
  }

  releaseReads(): void {
    const held = this.#heldReads ?? []
    this.#heldReads = undefined
    for (const release of held) release()
  }

  gap(owner: string): void {
    this.#listener.gap(owner)
  }

  announce(...args: Parameters<Feeds['announce']>): Promise<boolean> {
    return this.memory.announce(...args)
  }

  withdraw(owner: string, id: string): Promise<void> {
    return this.memory.withdraw(owner, id)
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  subscribe(owner: string): Promise<void> {
    this.subscribed.add(owner)
    return this.memory.subscribe(owner)
  }

  unsubscribe(owner: string): Promise<void> {
    this.subscribed.delete(owner)
    return this.memory.unsubscribe(owner)
  }

  /** Reads at the moment of the call; the answer may be held back. */
  async read(owner: string): Promise<Roll> {
    this.reads += 1
    if (this.failsReads) throw new Refusal('overloaded')
    const roll = await this.memory.read(owner)
    const held = this.#heldReads
    if (held) await new Promise<void>((resolve) => held.push(resolve))
    return roll
  }

  #deliver(announcement: Announcement): void {
    if (this.loses > 0) this.loses -= 1
    else if (this.#heldAnnouncements) this.#heldAnnouncements.push(announcement)
    else this.#listener.announced(announcement)
  }
}
