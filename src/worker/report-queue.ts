import type { JobEvent } from '../core/entry.js'
import { type Deferred, deferred } from './deferred.js'

const TRANSIENT_INTERVAL_MS = 100
const BATCH = 64
/** From so many waiting events on there is no room. */
const HIGH_WATER = 256
/** The answer while there is room. */
const ROOM = Promise.resolve()

/** Reports that wait to be written, in the order of sending: ticks coalesced per key (the last wins, at most 10 a second), durable events all. */
export class ReportQueue {
  /** A tick has its key, a durable event a number. */
  readonly #waiting = new Map<string | number, JobEvent>()
  #counter = 0
  #lastTransientAt = Number.NEGATIVE_INFINITY
  /** Who awaits room for more. */
  #room: Deferred | undefined

  get size(): number {
    return this.#waiting.size
  }

  /** When the next tick is due, in ms from now. */
  get dueInMs(): number {
    return Math.max(this.#lastTransientAt + TRANSIENT_INTERVAL_MS - performance.now(), 0)
  }

  /** Answers whether it supersedes a tick that waited. */
  add(event: JobEvent): boolean {
    const isCoalesced = event.class === 'transient' && this.#waiting.delete(event.key)
    this.#waiting.set(event.class === 'transient' ? event.key : this.#counter++, event)
    return isCoalesced
  }

  /** The next events in order. A tick that came too soon after the last one stays until it is due, unless it is superseded. */
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

  /** Every tick is due now. */
  hurry(): void {
    this.#lastTransientAt = Number.NEGATIVE_INFINITY
  }

  /** Resolves when there is room for more, or `release` is called; rejects with the reason of `clear`. */
  room(): Promise<void> {
    if (this.#waiting.size < HIGH_WATER) return ROOM
    this.#room ??= deferred()
    return this.#room.promise
  }

  /** A batch was written. */
  written(): void {
    if (this.#waiting.size < HIGH_WATER) this.release()
  }

  /** Lets those who wait for room go on. */
  release(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  /** Drops all that waits. */
  clear(why: Error): void {
    this.#waiting.clear()
    this.#room?.reject(why)
    this.#room = undefined
  }
}
