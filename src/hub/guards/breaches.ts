import type { Clock } from '../../core/clock.js'

const MINUTE_MS = 60_000

/** Counts what a client does against the protocol, and how fast it speaks. */
export class Breaches {
  readonly #clock: Clock
  readonly #limits: { readonly maxBreachesPerMinute: number; readonly maxMessagesPerSecond: number }
  #breaches: number[] = []
  /** Messages since the beginning of this second. */
  #second = { from: 0, count: 0 }

  constructor(clock: Clock, limits: { readonly maxBreachesPerMinute: number; readonly maxMessagesPerSecond: number }) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Counts a message. */
  isTooFast(): boolean {
    const now = this.#clock.elapsed()
    if (now - this.#second.from >= 1000) this.#second = { from: now, count: 0 }
    this.#second.count += 1
    return this.#second.count > this.#limits.maxMessagesPerSecond
  }

  /** Counts a breach; true where it is the one that ends the session. */
  isOneTooMany(): boolean {
    const now = this.#clock.elapsed()
    this.#breaches = [...this.#breaches.filter((at) => at > now - MINUTE_MS), now]
    return this.#breaches.length >= this.#limits.maxBreachesPerMinute
  }
}
