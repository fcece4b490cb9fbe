import type { Clock } from '../../core/clock.js'
import { type RecentMap, recentMap } from '../recent-map.js'

export interface RefusalDelays {
  /** This many refusals in a row are reported at once. */
  readonly free: number
  /** Delay of the next one. It doubles with each refusal, up to `longestMs`. */
  readonly firstMs: number
  readonly longestMs: number
  /** After this time without a refusal the count starts again. */
  readonly forgetMs: number
  /** Maximum clients that are remembered. The ones refused longest ago are evicted. */
  readonly maxClients: number
  /** Maximum connections that are held, per node and per address. Further ones are closed at once. */
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
 * Slows down clients that are refused repeatedly. A connection is accepted before it is refused. So a client that
 * resets its backoff when a connection opens would reconnect at once, forever. Its refusal is therefore delayed more
 * each time. A client is an address together with its proof.
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

  /**
   * Counts a refusal and reports it, at once or later. The returned function cancels that, for a connection that is
   * gone.
   */
  refuse(address: string, client: string, report: () => void): () => void {
    const delayMs = this.#count(`${address} ${client}`)
    const { maxHeld, maxHeldPerAddress } = this.#delays
    if (delayMs === 0 || this.#held.size >= maxHeld || this.#heldOf(address) >= maxHeldPerAddress) {
      report()
      return () => {}
    }
    const release = () => {
      cancel()
      report()
    }
    const cancelTimer = this.#clock.after(delayMs, release)
    const cancel = () => {
      cancelTimer()
      this.#held.delete(release)
    }
    this.#held.set(release, address)
    return cancel
  }

  /** The client has authenticated. */
  forget(address: string, client: string): void {
    this.#clients.delete(`${address} ${client}`)
  }

  /** Reports all held refusals now, for a node that closes. */
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
