import type { Clock } from '../../core/clock.js'
import { type RecentMap, recentMap } from '../recent-map.js'

export interface RefusalDelays {
  /** So many refusals in a row are told at once. */
  readonly free: number
  /** Delay of the next one; doubled with each, up to the longest. */
  readonly firstMs: number
  readonly longestMs: number
  /** After so long without a refusal it begins anew. */
  readonly forgetMs: number
  /** Clients that are remembered; of more, those that were refused longest ago are forgotten. */
  readonly maxClients: number
  /** Most connections that are held, of the node and of one address. What is beyond is closed at once. */
  readonly maxHeld: number
  readonly maxHeldPerAddress: number
}

export const DEFAULT_REFUSAL_DELAYS: RefusalDelays = {
  free: 3,
  firstMs: 1000,
  longestMs: 8000,
  forgetMs: 60_000,
  maxClients: 10_000,
  maxHeld: 500,
  maxHeldPerAddress: 50,
}

/**
 * Slows clients down that are refused again and again. A connection is accepted before it is refused, so a client that resets its backoff when a connection opens
 * would come back at once, for ever: its refusal is told later each time. A client is an address and what it proves itself with.
 */
export class RepeatedRefusals {
  readonly #clock: Clock
  readonly #delays: RefusalDelays
  readonly #clients: RecentMap<{ readonly count: number; readonly at: number }>
  readonly #held = new Map<() => void, string>()

  constructor(clock: Clock, delays: RefusalDelays = DEFAULT_REFUSAL_DELAYS) {
    this.#clock = clock
    this.#delays = delays
    this.#clients = recentMap(delays.maxClients)
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size
  }

  /** Counts a refusal and tells it, at once or later. The function that it returns calls that off, for a connection that is gone. */
  refuse(address: string, client: string, tell: () => void): () => void {
    const delayMs = this.#count(`${address} ${client}`)
    const { maxHeld, maxHeldPerAddress } = this.#delays
    if (delayMs === 0 || this.#held.size >= maxHeld || this.#heldOf(address) >= maxHeldPerAddress) {
      tell()
      return () => {}
    }
    const release = () => {
      callOff()
      tell()
    }
    const callOffTimer = this.#clock.after(delayMs, release)
    const callOff = () => {
      callOffTimer()
      this.#held.delete(release)
    }
    this.#held.set(release, address)
    return callOff
  }

  /** The client was let in. */
  forget(address: string, client: string): void {
    this.#clients.delete(`${address} ${client}`)
  }

  /** Tells what is held now, for a node that closes. */
  release(): void {
    for (const release of [...this.#held.keys()]) release()
  }

  #count(key: string): number {
    const { free, firstMs, longestMs, forgetMs } = this.#delays
    const now = this.#clock.elapsed()
    const before = this.#clients.get(key)
    const count = before && now - before.at < forgetMs ? before.count + 1 : 1
    this.#clients.set(key, { count, at: now })
    return count <= free ? 0 : Math.min(firstMs * 2 ** (count - free - 1), longestMs)
  }

  #heldOf(address: string): number {
    let count = 0
    for (const other of this.#held.values()) if (other === address) count += 1
    return count
  }
}
