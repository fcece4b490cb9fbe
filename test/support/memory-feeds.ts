import { ACTIVE_INDEX_LIMITS, type ActiveIndex, type FeedListener, type Feeds } from '../../src/storage/feeds.js'

interface Feed {
  seq: number
  active: string[]
  ended: string[]
}

/** Feeds in memory, with the guarantees of those on Redis, checked by the same contract suite. */
export class MemoryFeeds implements Feeds {
  readonly #feeds = new Map<string, Feed>()
  readonly #subscribed = new Set<string>()
  #listener: FeedListener = { changed: () => {}, gap: () => {} }

  async add(owner: string, id: string, again = false): Promise<boolean> {
    const feed = this.#feed(owner)
    if (feed.active.includes(id) && !again) return false
    feed.active = [id, ...feed.active.filter((other) => other !== id)]
    feed.ended = feed.ended.filter((other) => other !== id)
    feed.seq += 1
    if (this.#subscribed.has(owner)) this.#listener.changed({ owner, generation: 'memory', seq: feed.seq, id })
    return true
  }

  async remove(owner: string, id: string): Promise<void> {
    const feed = this.#feed(owner)
    feed.active = feed.active.filter((other) => other !== id)
    feed.ended = [id, ...feed.ended.filter((other) => other !== id)].slice(0, ACTIVE_INDEX_LIMITS.ended)
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  async subscribe(owner: string): Promise<void> {
    this.#subscribed.add(owner)
  }

  async unsubscribe(owner: string): Promise<void> {
    this.#subscribed.delete(owner)
  }

  async read(owner: string): Promise<ActiveIndex> {
    const { seq, active, ended } = this.#feed(owner)
    return { generation: 'memory', seq, active: active.slice(0, ACTIVE_INDEX_LIMITS.active), ended }
  }

  #feed(owner: string): Feed {
    let feed = this.#feeds.get(owner)
    if (!feed) {
      feed = { seq: 0, active: [], ended: [] }
      this.#feeds.set(owner, feed)
    }
    return feed
  }
}
