import { randomBytes } from 'node:crypto'
import { ACTIVE_INDEX_LIMITS, type ActiveIndex, type FeedListener, type Feeds, type IndexChange } from '../feeds.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import type { RedisSubscriber } from './subscriber.js'

export interface RedisFeedsOptions {
  readonly commands: CommandConnection
  /** Called when the first user is subscribed to: a process that only publishes needs no subscription. */
  readonly subscriber: () => RedisSubscriber
  readonly keys: RedisKeys
  /** How long Redis keeps a user's index after its last change. */
  readonly activeTtlMs: number
  readonly endedTtlMs: number
}

/** Feeds in Redis, on the connections of the broker. Each user has three keys and a channel, all in one slot. */
export class RedisFeeds implements Feeds {
  readonly #options: RedisFeedsOptions
  #listener: FeedListener = { changed: () => {}, gap: () => {} }

  constructor(options: RedisFeedsOptions) {
    this.#options = options
  }

  async add(owner: string, id: string, again = false): Promise<boolean> {
    const { commands, keys, activeTtlMs } = this.#options
    const { active, ended, count, channel } = keys.feed(owner)
    const generation = randomBytes(6).toString('hex')
    const seq = await asked(commands.runcastIndexAdd(active, ended, count, channel, id, generation, activeTtlMs, again ? '1' : ''))
    return seq > 0
  }

  async remove(owner: string, id: string): Promise<void> {
    const { commands, keys, endedTtlMs } = this.#options
    const { active, ended } = keys.feed(owner)
    await asked(commands.runcastIndexRemove(active, ended, id, ACTIVE_INDEX_LIMITS.ended, endedTtlMs))
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  subscribe(owner: string): Promise<void> {
    const message = (body: Buffer) => {
      const change = read(owner, body.toString())
      if (change) this.#listener.changed(change)
      else this.#listener.gap(owner)
    }
    return this.#options.subscriber().subscribe(this.#options.keys.feed(owner).channel, { message, gap: () => this.#listener.gap(owner) })
  }

  unsubscribe(owner: string): Promise<void> {
    return this.#options.subscriber().unsubscribe(this.#options.keys.feed(owner).channel)
  }

  async read(owner: string): Promise<ActiveIndex> {
    const { commands, keys } = this.#options
    const { active, ended, count } = keys.feed(owner)
    const reply = await asked(commands.runcastIndexRead(active, ended, count, ACTIVE_INDEX_LIMITS.active, ACTIVE_INDEX_LIMITS.ended))
    const [generation, seq, activeIds, endedIds] = reply
    return { generation, seq, active: activeIds, ended: endedIds }
  }
}

/** Null if the text is not an index change: another program has written to the channel. */
function read(owner: string, text: string): IndexChange | null {
  const [generation, seq, id] = text.split(' ')
  return generation && id && Number.isSafeInteger(Number(seq)) ? { owner, generation, seq: Number(seq), id } : null
}
