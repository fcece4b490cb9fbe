import type { Clock } from '../../core/clock.js'
import { type RecentMap, recentMap } from '../recent-map.js'

export interface BucketLimits {
  /** Of one key in a second, over time; as many may come at once. */
  readonly perSecond: number
  /** Keys that are remembered; of more, those that were heard of longest ago begin anew. */
  readonly maxKeys: number
}

/** How much each of many keys may do in a second (token buckets). Costs a map lookup, and memory for `maxKeys` at most. */
export class TokenBuckets {
  readonly #clock: Clock
  readonly #limits: BucketLimits
  /** Tokens left and when they were counted. */
  readonly #buckets: RecentMap<{ readonly tokens: number; readonly at: number }>

  constructor(clock: Clock, limits: BucketLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#buckets = recentMap(limits.maxKeys)
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes one token; false where there is none. */
  take(key: string): boolean {
    const tokens = this.#tokensOf(key)
    const isAllowed = tokens >= 1
    this.#keep(key, isAllowed ? tokens - 1 : tokens)
    return isAllowed
  }

  /** Takes so many tokens whether they are there or not, into a debt of a second's at most. */
  charge(key: string, count: number): void {
    this.#keep(key, Math.max(this.#tokensOf(key) - count, -this.#limits.perSecond))
  }

  #tokensOf(key: string): number {
    const { perSecond } = this.#limits
    const bucket = this.#buckets.get(key)
    if (!bucket) return perSecond
    return Math.min(perSecond, bucket.tokens + ((this.#clock.elapsed() - bucket.at) / 1000) * perSecond)
  }

  #keep(key: string, tokens: number): void {
    this.#buckets.set(key, { tokens, at: this.#clock.elapsed() })
  }
}
