import { RuncastError } from '../../src/protocol/codes.js'
import type { ActiveIndex, FeedListener, Feeds, IndexChange } from '../../src/storage/feeds.js'
import { MemoryFeeds } from './memory-feeds.js'

/** Feeds that can lose and delay index changes, and delay reads, so that tests can produce any race. */
export class ManualFeeds implements Feeds {
  readonly memory = new MemoryFeeds()
  /** Channels with subscribers. */
  readonly subscribed = new Set<string>()
  reads = 0
  failsReads = false
  /** Index changes that the channel loses from now on. */
  loses = 0
  #heldAnnouncements: IndexChange[] | undefined
  #heldReads: (() => void)[] | undefined
  #listener: FeedListener = { changed: () => {}, gap: () => {} }

  constructor() {
    this.memory.listen({ changed: (announcement) => this.#deliver(announcement), gap: () => {} })
  }

  holdAnnouncements(): void {
    this.#heldAnnouncements = []
  }

  /** Delivers the delayed index changes, in the given order (indexes) if any. */
  releaseAnnouncements(order?: readonly number[]): void {
    const held = this.#heldAnnouncements ?? []
    this.#heldAnnouncements = undefined
    for (const announcement of order ? order.flatMap((i) => held[i] ?? []) : held) this.#listener.changed(announcement)
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

  add(...args: Parameters<Feeds['add']>): Promise<boolean> {
    return this.memory.add(...args)
  }

  remove(owner: string, id: string): Promise<void> {
    return this.memory.remove(owner, id)
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

  /** Reads at the time of the call; the answer may be delayed. */
  async read(owner: string): Promise<ActiveIndex> {
    this.reads += 1
    if (this.failsReads) throw new RuncastError('overloaded')
    const roll = await this.memory.read(owner)
    const held = this.#heldReads
    if (held) await new Promise<void>((resolve) => held.push(resolve))
    return roll
  }

  #deliver(announcement: IndexChange): void {
    if (this.loses > 0) this.loses -= 1
    else if (this.#heldAnnouncements) this.#heldAnnouncements.push(announcement)
    else this.#listener.changed(announcement)
  }
}
