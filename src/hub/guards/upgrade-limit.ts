import type { Clock } from '../../core/clock.js'
import { Tally } from '../../core/tally.js'
import { PendingSockets } from './pending-sockets.js'
import { TokenBuckets } from './token-buckets.js'

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
const RETRY_AFTER_S = { draining: 5, full: 5, pending: 1, rate: 1 } as const

/** What reading a socket that abuses its upgrade costs, in upgrades. */
const PENALTY = 20

/** Whether a node takes another socket: not when it drains, not when it is full, and of one address only so many in a second (token bucket). Costs a map lookup. */
export class UpgradeLimit {
  readonly #limits: UpgradeLimits
  readonly #buckets: TokenBuckets
  #draining = false
  /** The sockets that were let through and whose clients have not proved who they are. */
  readonly pending: PendingSockets
  /** Those that were not let through. */
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

  /** From now on no upgrade is let through. */
  drain(): void {
    this.#draining = true
  }

  /** Asks for one connection, of a node that has so many: null where it may come, else the seconds after which to try again. `isStranger`: its client is still to prove who it is. */
  refuse(address: string, sockets: number, isStranger = false): number | null {
    const reason = this.#reasonAgainst(address, sockets, isStranger)
    if (reason === null) return null
    this.refused.add(reason)
    return RETRY_AFTER_S[reason]
  }

  /** A client of this address has sent what no client sends before its token: that counts as `PENALTY` upgrades, in debt of a second's at most. */
  penalise(address: string): void {
    this.#buckets.charge(address, PENALTY)
  }

  #reasonAgainst(address: string, sockets: number, isStranger: boolean): keyof typeof RETRY_AFTER_S | null {
    if (this.#draining) return 'draining'
    if (sockets >= this.#limits.maxSockets) return 'full'
    if (isStranger && !this.pending.hasRoom(address)) return 'pending'
    return this.#buckets.take(address) ? null : 'rate'
  }
}
