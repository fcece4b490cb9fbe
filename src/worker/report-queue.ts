import type { JobEvent } from '../core/entry.js'
import { type Deferred, deferred } from './deferred.js'

const TRANSIENT_INTERVAL_MS = 100
const BATCH = 64
/** There is no room from this number of waiting events on. */
const HIGH_WATER = 256
/** The answer while there is room. */
const ROOM = Promise.resolve()

/**
 * Reports that wait to be written, in order of sending. Transient events are conflated per key (the last one wins, at
 * most 10 per second); all persisted events are kept.
 */
export class ReportQueue {
  /** The key of a transient event, or a number for a persisted one. */
  readonly #waiting = new Map<string | number, JobEvent>()
  #counter = 0
  #lastTransientAt = Number.NEGATIVE_INFINITY
  /** Callers that wait for room. */
  #room: Deferred | undefined

  get size(): number {
    return this.#waiting.size
  }

  /** When the next transient event is due, in ms from now. */
  get dueInMs(): number {
    return Math.max(this.#lastTransientAt + TRANSIENT_INTERVAL_MS - performance.now(), 0)
  }

  /** Returns whether the event replaces a waiting transient event. */
  add(event: JobEvent): boolean {
    const isCoalesced = event.class === 'transient' && this.#waiting.delete(event.key)
    this.#waiting.set(event.class === 'transient' ? event.key : this.#counter++, event)
    return isCoalesced
  }

  /**
   * The next events in order. A transient event that comes too soon after the last one stays until it is due, or is
   * replaced.
   */
  takeBatch(): JobEvent[] {
    const tickIsDue = this.dueInMs === 0
    const batch: JobEvent[] = []
    for (const [key, event] of this.#waiting) {
      if (batch.length === BATCH) break
      if (event.class === 'transient' && !tickIsDue) continue
      if (event.class === 'transient') this.#lastTransientAt = performance.now()
      batch.push(event)
      this.#waiting.delete(key)
    }
    return batch
  }

  /** Makes every transient event due now. */
  flushNow(): void {
    this.#lastTransientAt = Number.NEGATIVE_INFINITY
  }

  /** Resolves when there is room for more, or `release` is called. Rejects with the reason of `clear`. */
  room(): Promise<void> {
    if (this.#waiting.size < HIGH_WATER) return ROOM
    this.#room ??= deferred()
    return this.#room.promise
  }

  /** Call this when a batch was written. */
  written(): void {
    if (this.#waiting.size < HIGH_WATER) this.release()
  }

  /** Resolves the promises of callers that wait for room. */
  release(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  /** Drops all waiting events. */
  clear(why: Error): void {
    this.#waiting.clear()
    this.#room?.reject(why)
    this.#room = undefined
  }
}
