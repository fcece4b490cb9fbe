import type { Clock } from '../../core/clock.js'
import { type RecentMap, recentMap } from '../recent-map.js'

export interface BucketLimits {
  /** Average rate of one key per second. This is also the largest burst. */
  readonly perSecond: number
  /** Maximum keys that are remembered. The least recently used ones are evicted and start again. */
  readonly maxKeys: number
}

/** Token buckets for many keys. A call costs a map lookup; memory is bounded by `maxKeys`. */
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

  /** Takes one token. False if there is none. */
  take(key: string): boolean {
    const tokens = this.#tokensOf(key)
    const isAllowed = tokens >= 1
    this.#keep(key, isAllowed ? tokens - 1 : tokens)
    return isAllowed
  }

  /** Takes `count` tokens even if there are fewer. The debt is at most one second's worth. */
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
