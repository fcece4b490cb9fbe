import { setTimeout as pause } from 'node:timers/promises'
import type { Claims, Taken } from './claims.js'

interface Waiter {
  /** Epoch ms. */
  readonly until: number
  resolve(taken: Taken | null): void
  reject(error: unknown): void
}

/** How often a queue is looked at while somebody waits for it. */
const LOOK_MS = 100

/** Where those who claim stand in line, one line for each queue: one look at a time is made for all of them, and nothing is taken for nobody. */
export class ClaimDesk {
  readonly #claims: Claims
  readonly #onFault: (error: unknown) => void
  readonly #lines = new Map<string, Waiter[]>()
  readonly #served = new Map<string, Promise<void>>()
  #closed = false

  constructor(claims: Claims, onFault: (error: unknown) => void) {
    this.#claims = claims
    this.#onFault = onFault
  }

  /** Whether somebody waits for a job of this queue. */
  isWanted(queue: string): boolean {
    return (this.#lines.get(queue)?.length ?? 0) > 0
  }

  /** The next round of a queue; null where none comes within the time, at once where `gone` says that nobody would take it any more. At least one look is made. */
  wait(queue: string, waitMs: number, gone: AbortSignal): Promise<Taken | null> {
    if (this.#closed || gone.aborted) return Promise.resolve(null)
    const line = this.#lines.get(queue) ?? []
    this.#lines.set(queue, line)
    return new Promise<Taken | null>((resolve, reject) => {
      const waiter = { until: Date.now() + waitMs, resolve, reject }
      line.push(waiter)
      gone.addEventListener('abort', () => remove(line, waiter) && resolve(null), { once: true })
      this.#serve(queue, line)
    })
  }

  /** Sends everybody away, and whoever comes. Resolves when no look is under way. */
  async close(): Promise<void> {
    this.#closed = true
    for (const line of this.#lines.values()) for (const { resolve } of line.splice(0)) resolve(null)
    await Promise.all(this.#served.values())
  }

  #serve(queue: string, line: Waiter[]): void {
    if (this.#served.has(queue)) return
    const serving = this.#look(queue, line).finally(() => {
      this.#served.delete(queue)
      // Somebody has come in the very turn in which the last one left.
      if (line.length > 0) this.#serve(queue, line)
    })
    this.#served.set(queue, serving)
  }

  async #look(queue: string, line: Waiter[]): Promise<void> {
    while (line.length > 0) {
      const asking = [...line]
      try {
        const taken = await this.#claims.take(queue)
        if (taken) {
          await this.#give(taken, line)
          continue
        }
      } catch (error) {
        for (const waiter of asking) if (remove(line, waiter)) waiter.reject(error)
      }
      for (const waiter of asking) if (waiter.until <= Date.now() && remove(line, waiter)) waiter.resolve(null)
      // Those who came during the look have not been looked for yet.
      if (line.length > 0 && line.every((waiter) => asking.includes(waiter))) await pause(LOOK_MS)
    }
  }

  /** To whoever has waited longest. Whoever left while it was taken has lost nothing: it goes back. */
  async #give(taken: Taken, line: Waiter[]): Promise<void> {
    const waiter = line.shift()
    if (waiter) waiter.resolve(taken)
    else await this.#claims.settle(taken, taken.lock, { how: 'handed back' }).catch(this.#onFault)
  }
}

function remove(line: Waiter[], waiter: Waiter): boolean {
  const at = line.indexOf(waiter)
  if (at >= 0) line.splice(at, 1)
  return at >= 0
}
