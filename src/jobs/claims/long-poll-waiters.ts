import { setTimeout as pause } from 'node:timers/promises'
import { RuncastError } from '../../protocol/codes.js'
import type { ClaimedRound, Claims } from '../../queue/claims.js'

interface Waiter {
  /** Position in its line. */
  readonly number: number
  /** Deadline, by the monotonic clock. */
  readonly until: number
  resolve(taken: ClaimedRound | null): void
  reject(error: unknown): void
}

/** Requests for a job of one queue, in order of arrival. */
interface WaitingLine {
  readonly waiters: Set<Waiter>
  /** Number of requests so far. */
  count: number
}

/** Interval in ms at which a queue is checked while a request waits for it. */
export const CHECK_MS = 100
/** Maximum waiting requests on one hub, over all queues. */
export const MAX_WAITING = 1000

/**
 * The long-poll requests for jobs, one line per queue. One check at a time serves the whole line, and no job is taken
 * without a waiting request.
 */
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

  /** Number of waiting requests, over all queues. */
  get waiting(): number {
    return [...this.#lines.values()].reduce((sum, { waiters }) => sum + waiters.size, 0)
  }

  /** Whether a request waits for a job of this queue. */
  isWanted(queue: string): boolean {
    return (this.#lines.get(queue)?.waiters.size ?? 0) > 0
  }

  /**
   * The next execution of a queue. Null if none arrives in time, and at once when `gone` is aborted. At least one check
   * is made. Rejects with `overloaded` if `MAX_WAITING` requests wait already.
   */
  async wait(queue: string, waitMs: number, gone: AbortSignal): Promise<ClaimedRound | null> {
    if (this.#closed || gone.aborted) return null
    if (this.waiting >= MAX_WAITING)
      throw new RuncastError('overloaded', { message: 'Too many claims wait on this hub; try again later.', retryAfterMs: 1000 })
    const line = this.#lines.get(queue) ?? { waiters: new Set(), count: 0 }
    this.#lines.set(queue, line)
    return new Promise<ClaimedRound | null>((resolve, reject) => {
      line.count += 1
      const waiter = { number: line.count, until: performance.now() + waitMs, resolve, reject }
      line.waiters.add(waiter)
      gone.addEventListener('abort', () => line.waiters.delete(waiter) && resolve(null), { once: true })
      this.#serve(queue, line)
    })
  }

  /** Ends all waiting requests, and every later one at once. Resolves when no check is in progress. */
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
    const serving = this.#check(queue, line).finally(() => {
      this.#served.delete(queue)
      // A request has arrived in the turn in which the last one left.
      if (line.waiters.size > 0) this.#serve(queue, line)
    })
    this.#served.set(queue, serving)
  }

  async #check(queue: string, line: WaitingLine): Promise<void> {
    while (line.waiters.size > 0) {
      const covered = line.count
      try {
        const taken = await this.#claims.claim(queue)
        if (taken) {
          await this.#assign(taken, line)
          continue
        }
        const now = performance.now()
        for (const waiter of coveredBy(line, covered)) if (waiter.until <= now && line.waiters.delete(waiter)) waiter.resolve(null)
      } catch (error) {
        for (const waiter of coveredBy(line, covered)) if (line.waiters.delete(waiter)) waiter.reject(error)
      }
      // Requests that arrived during the check have not been served by it.
      if (line.waiters.size > 0 && line.count === covered) await pause(CHECK_MS)
    }
  }

  /**
   * Assigns the job to the request that has waited longest. If that one has left meanwhile, the job is returned to the
   * queue.
   */
  async #assign(taken: ClaimedRound, line: WaitingLine): Promise<void> {
    const [waiter] = line.waiters
    if (waiter) {
      line.waiters.delete(waiter)
      waiter.resolve(taken)
    } else await this.#claims.settle(taken, taken.lock, { how: 'returned' }).catch(this.#onFault)
  }
}

/** The requests that a check covered. One may be removed during the iteration. */
function* coveredBy({ waiters }: WaitingLine, covered: number): Generator<Waiter> {
  for (const waiter of waiters) {
    if (waiter.number > covered) return
    yield waiter
  }
}
