import type { Clock } from '../../core/clock.js'

const MINUTE_MS = 60_000

/** Counts a client's protocol violations and its message rate. */
export class ProtocolViolations {
  readonly #clock: Clock
  readonly #limits: { readonly maxViolationsPerMinute: number; readonly maxMessagesPerSecond: number }
  #count: number[] = []
  /** Messages since the beginning of this second. */
  #second = { from: 0, count: 0 }

  constructor(clock: Clock, limits: { readonly maxViolationsPerMinute: number; readonly maxMessagesPerSecond: number }) {
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

  /** Counts a violation. True if it is the one that ends the session. */
  isOverLimit(): boolean {
    const now = this.#clock.elapsed()
    this.#count = [...this.#count.filter((at) => at > now - MINUTE_MS), now]
    return this.#count.length >= this.#limits.maxViolationsPerMinute
  }
}
