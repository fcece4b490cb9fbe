import { randomBytes } from 'node:crypto'
import { type Announcement, type FeedListener, type Feeds, ROLL_LIMITS, type Roll } from '../feeds.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import type { RedisSubscriber } from './subscriber.js'

export interface RedisFeedsOptions {
  readonly commands: CommandConnection
  /** Asked for when the first user is followed: who only announces needs no subscription. */
  readonly subscriber: () => RedisSubscriber
  readonly keys: RedisKeys
  /** How long Redis keeps what a user has, after the last change. */
  readonly activeTtlMs: number
  readonly endedTtlMs: number
}

/** Feeds in Redis, on the connections of the broker: three keys and a channel for each user, in one slot. */
export class RedisFeeds implements Feeds {
  readonly #options: RedisFeedsOptions
  #listener: FeedListener = { announced: () => {}, gap: () => {} }

  constructor(options: RedisFeedsOptions) {
    this.#options = options
  }

  async announce(owner: string, id: string, again = false): Promise<boolean> {
    const { commands, keys, activeTtlMs } = this.#options
    const { active, ended, count, channel } = keys.feed(owner)
    const generation = randomBytes(6).toString('hex')
    const seq = await asked(commands.runcastAnnounce(active, ended, count, channel, id, generation, activeTtlMs, again ? '1' : ''))
    return seq > 0
  }

  async withdraw(owner: string, id: string): Promise<void> {
    const { commands, keys, endedTtlMs } = this.#options
    const { active, ended } = keys.feed(owner)
    await asked(commands.runcastWithdraw(active, ended, id, ROLL_LIMITS.ended, endedTtlMs))
  }

  listen(listener: FeedListener): void {
    this.#listener = listener
  }

  subscribe(owner: string): Promise<void> {
    const message = (body: Buffer) => {
      const announcement = read(owner, body.toString())
      if (announcement) this.#listener.announced(announcement)
      else this.#listener.gap(owner)
    }
    return this.#options.subscriber().subscribe(this.#options.keys.feed(owner).channel, { message, gap: () => this.#listener.gap(owner) })
  }

  unsubscribe(owner: string): Promise<void> {
    return this.#options.subscriber().unsubscribe(this.#options.keys.feed(owner).channel)
  }

  async read(owner: string): Promise<Roll> {
    const { commands, keys } = this.#options
    const { active, ended, count } = keys.feed(owner)
    const reply = await asked(commands.runcastRoll(active, ended, count, ROLL_LIMITS.active, ROLL_LIMITS.ended))
    const [generation, seq, activeIds, endedIds] = reply
    return { generation, seq, active: activeIds, ended: endedIds }
  }
}

/** Null for what is no announcement: somebody else has written to the channel. */
function read(owner: string, text: string): Announcement | null {
  const [generation, seq, id] = text.split(' ')
  return generation && id && Number.isSafeInteger(Number(seq)) ? { owner, generation, seq: Number(seq), id } : null
}
