import { setTimeout as pause } from 'node:timers/promises'
import { RuncastError } from '../../protocol/codes.js'
import type { Claims, Taken } from '../../queue/claims.js'

interface Waiter {
  /** Which of its line it was. */
  readonly number: number
  /** By the clock that is never set. */
  readonly until: number
  resolve(taken: Taken | null): void
  reject(error: unknown): void
}

/** Whoever waits for a job of one queue, in the order of their coming. */
interface WaitingLine {
  readonly waiters: Set<Waiter>
  /** How many have come so far. */
  count: number
}

/** How often a queue is looked at while somebody waits for it. */
const LOOK_MS = 100
/** Most who wait on one hub, over all queues. */
export const MAX_WAITING = 1000

/** Where those who claim stand in line, one line for each queue: one look at a time is made for all of them, and nothing is taken for nobody. */
export class LongPollWaiters {
  readonly #claims: Claims
  readonly #onFault: (error: unknown) => void
  readonly #lines = new Map<string, WaitingLine>()
  readonly #served = new Map<string, Promise<void>>()
  #closed = false

  constructor(claims: Claims, onFault: (error: unknown) => void) {
    this.#claims = claims
    this.#onFault = onFault
  }

  /** How many wait, over all queues. */
  get waiting(): number {
    return [...this.#lines.values()].reduce((sum, { waiters }) => sum + waiters.size, 0)
  }

  /** Whether somebody waits for a job of this queue. */
  isWanted(queue: string): boolean {
    return (this.#lines.get(queue)?.waiters.size ?? 0) > 0
  }

  /**
   * The next round of a queue; null where none comes within the time, at once where `gone` says that nobody would take it any more. At least one look is made.
   * Rejects with `overloaded` where as many wait already as may.
   */
  async wait(queue: string, waitMs: number, gone: AbortSignal): Promise<Taken | null> {
    if (this.#closed || gone.aborted) return null
    if (this.waiting >= MAX_WAITING)
      throw new RuncastError('overloaded', { message: 'Too many claims wait on this hub; try again later.', retryAfterMs: 1000 })
    const line = this.#lines.get(queue) ?? { waiters: new Set(), count: 0 }
    this.#lines.set(queue, line)
    return new Promise<Taken | null>((resolve, reject) => {
      line.count += 1
      const waiter = { number: line.count, until: performance.now() + waitMs, resolve, reject }
      line.waiters.add(waiter)
      gone.addEventListener('abort', () => line.waiters.delete(waiter) && resolve(null), { once: true })
      this.#serve(queue, line)
    })
  }

  /** Sends everybody away, and whoever comes. Resolves when no look is under way. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { waiters } of this.#lines.values()) {
      for (const { resolve } of waiters) resolve(null)
      waiters.clear()
    }
    await Promise.all(this.#served.values())
  }

  #serve(queue: string, line: WaitingLine): void {
    if (this.#served.has(queue)) return
    const serving = this.#look(queue, line).finally(() => {
      this.#served.delete(queue)
      // Somebody has come in the very turn in which the last one left.
      if (line.waiters.size > 0) this.#serve(queue, line)
    })
    this.#served.set(queue, serving)
  }

  async #look(queue: string, line: WaitingLine): Promise<void> {
    while (line.waiters.size > 0) {
      const asked = line.count
      try {
        const taken = await this.#claims.take(queue)
        if (taken) {
          await this.#give(taken, line)
          continue
        }
        const now = performance.now()
        for (const waiter of lookedFor(line, asked)) if (waiter.until <= now && line.waiters.delete(waiter)) waiter.resolve(null)
      } catch (error) {
        for (const waiter of lookedFor(line, asked)) if (line.waiters.delete(waiter)) waiter.reject(error)
      }
      // Those who came during the look have not been looked for yet.
      if (line.waiters.size > 0 && line.count === asked) await pause(LOOK_MS)
    }
  }

  /** To whoever has waited longest. Whoever left while it was taken has lost nothing: it goes back. */
  async #give(taken: Taken, line: WaitingLine): Promise<void> {
    const [waiter] = line.waiters
    if (waiter) {
      line.waiters.delete(waiter)
      waiter.resolve(taken)
    } else await this.#claims.settle(taken, taken.lock, { how: 'handed back' }).catch(this.#onFault)
  }
}

/** Those for whom a look was. One may be taken out while they are gone through. */
function* lookedFor({ waiters }: WaitingLine, asked: number): Generator<Waiter> {
  for (const waiter of waiters) {
    if (waiter.number > asked) return
    yield waiter
  }
}
