import type { Clock } from '../../core/clock.js'
import { Tally } from '../../core/tally.js'
import { PendingSockets } from './pending-sockets.js'
import { TokenBuckets } from './token-buckets.js'

export interface UpgradeLimits {
  /** Maximum sockets of a node. */
  readonly maxSockets: number
  /** Average rate of upgrades of one address per second. This is also the largest burst. */
  readonly maxPerSecond: number
  /** Maximum addresses that are remembered. The least recently used ones are evicted and start again. */
  readonly maxAddresses: number
}

export const DEFAULT_UPGRADE_LIMITS: UpgradeLimits = { maxSockets: 20_000, maxPerSecond: 200, maxAddresses: 10_000 }

/**
 * Seconds after which a client may retry, by reason. A full or draining node asks for a longer wait, since other nodes
 * exist.
 */
const RETRY_AFTER_S = { draining: 5, full: 5, pending: 1, rate: 1 } as const

/** Upgrades that the penalty for an abusive socket costs. */
const PENALTY = 20

/**
 * Decides whether a node accepts another socket. It accepts none while it drains or is full, and limits the rate per
 * address (token bucket). A call costs a map lookup.
 */
export class UpgradeLimit {
  readonly #limits: UpgradeLimits
  readonly #buckets: TokenBuckets
  #draining = false
  /** Accepted sockets whose clients have not authenticated. */
  readonly pending: PendingSockets
  /** Upgrades that were rejected, by reason. */
  readonly refused = new Tally<[keyof typeof RETRY_AFTER_S]>([['draining'], ['full'], ['pending'], ['rate']])

  constructor(clock: Clock, limits: UpgradeLimits = DEFAULT_UPGRADE_LIMITS, pending = new PendingSockets()) {
    this.#limits = limits
    this.#buckets = new TokenBuckets(clock, { perSecond: limits.maxPerSecond, maxKeys: limits.maxAddresses })
    this.pending = pending
  }

  get draining(): boolean {
    return this.#draining
  }

  get addresses(): number {
    return this.#buckets.size
  }

  /** From now on every upgrade is rejected. */
  drain(): void {
    this.#draining = true
  }

  /**
   * Checks one connection to a node that has `sockets` of them. Null if it is accepted, else the seconds after which to
   * retry. `isAnonymous`: the client is not authenticated yet.
   */
  refuse(address: string, sockets: number, isAnonymous = false): number | null {
    const reason = this.#reasonAgainst(address, sockets, isAnonymous)
    if (reason === null) return null
    this.refused.add(reason)
    return RETRY_AFTER_S[reason]
  }

  /**
   * A client of this address has sent more than is allowed before its token. This counts as `PENALTY` upgrades; the
   * debt is at most one second's worth.
   */
  penalise(address: string): void {
    this.#buckets.charge(address, PENALTY)
  }

  #reasonAgainst(address: string, sockets: number, isAnonymous: boolean): keyof typeof RETRY_AFTER_S | null {
    if (this.#draining) return 'draining'
    if (sockets >= this.#limits.maxSockets) return 'full'
    if (isAnonymous && !this.pending.hasRoom(address)) return 'pending'
    return this.#buckets.take(address) ? null : 'rate'
  }
}
