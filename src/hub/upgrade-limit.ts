import { Tally } from '../tally/tally.js'
import type { Clock } from './clock.js'

export interface UpgradeLimits {
  /** Most sockets of a node. */
  readonly maxSockets: number
  /** Upgrades of one address in a second, over time; as many may come at once. */
  readonly maxPerSecond: number
  /** Addresses that are remembered; of more, those that were heard of longest ago begin anew. */
  readonly maxAddresses: number
}

export const DEFAULT_UPGRADE_LIMITS: UpgradeLimits = { maxSockets: 20_000, maxPerSecond: 200, maxAddresses: 10_000 }

/** Seconds after which a client may come again, by what stands in its way. A full or stopping node is not worth asking for a while: others are there. */
const RETRY_AFTER_S = { draining: 5, full: 5, rate: 1 } as const

/** Whether a node takes another socket: not when it drains, not when it is full, and of one address only so many in a second (token bucket). Costs a map lookup. */
export class UpgradeLimit {
  readonly #clock: Clock
  readonly #limits: UpgradeLimits
  /** Tokens left and when they were counted; in the order of that time. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>()
  #draining = false
  /** Those that were not let through. */
  readonly refused = new Tally<[keyof typeof RETRY_AFTER_S]>([['draining'], ['full'], ['rate']])

  constructor(clock: Clock, limits: UpgradeLimits = DEFAULT_UPGRADE_LIMITS) {
    this.#clock = clock
    this.#limits = limits
  }

  get draining(): boolean {
    return this.#draining
  }

  get addresses(): number {
    return this.#buckets.size
  }

  /** From now on no upgrade is let through. */
  drain(): void {
    this.#draining = true
  }

  /** Asks for one upgrade, of a node that has so many sockets: null where it may come, else the seconds after which to try again. */
  refuse(address: string, sockets: number): number | null {
    const reason = this.#reasonAgainst(address, sockets)
    if (reason === null) return null
    this.refused.add(reason)
    return RETRY_AFTER_S[reason]
  }

  #reasonAgainst(address: string, sockets: number): keyof typeof RETRY_AFTER_S | null {
    if (this.#draining) return 'draining'
    if (sockets >= this.#limits.maxSockets) return 'full'
    return this.#take(address) ? null : 'rate'
  }

  #take(address: string): boolean {
    const { maxPerSecond, maxAddresses } = this.#limits
    const now = this.#clock.now()
    const bucket = this.#buckets.get(address) ?? { tokens: maxPerSecond, at: now }
    // A clock that was set back gives nothing and takes nothing.
    const refilled = Math.min(maxPerSecond, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * maxPerSecond)
    const isAllowed = refilled >= 1
    this.#buckets.delete(address)
    this.#buckets.set(address, { tokens: isAllowed ? refilled - 1 : refilled, at: now })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > maxAddresses && oldest !== undefined) this.#buckets.delete(oldest)
    return isAllowed
  }
}
