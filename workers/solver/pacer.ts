import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Columns that a factorisation eliminates between two readings of the clock: about 0.1 ms of work on the widest mesh.
 */
export const COLUMNS_PER_LOOK = 16

export interface PacerOptions {
  /** How long a computation may block the event loop before it yields, in ms. Default: 10. */
  budgetMs?: number
  /** A monotonic clock in ms. */
  now?: () => number
  /** Lets the event loop take one turn. */
  turn?: () => Promise<void>
}

/**
 * Keeps a long computation cooperative. It calls `due()` often (one reading of the clock, about 50 ns) and awaits
 * `pause()` when that returns true: `if (pacer.due()) await pacer.pause()`. Timers and sockets get their turn there,
 * and an aborted job ends there.
 */
export class Pacer {
  readonly #signal: AbortSignal
  readonly #budgetMs: number
  readonly #now: () => number
  readonly #turn: () => Promise<void>
  #deadline: number

  constructor(signal: AbortSignal, options: PacerOptions = {}) {
    this.#signal = signal
    this.#budgetMs = options.budgetMs ?? 10
    this.#now = options.now ?? (() => performance.now())
    this.#turn = options.turn ?? (() => nextTurn())
    this.#deadline = this.#now() + this.#budgetMs
  }

  /** Whether the time budget of this turn is used up. */
  due(): boolean {
    return this.#now() >= this.#deadline
  }

  /** Pauses if it is due: the short form for code that runs rarely. */
  async breathe(): Promise<void> {
    if (this.due()) await this.pause()
  }

  /** Yields one turn of the event loop. Throws the reason of the signal if it is aborted. */
  async pause(): Promise<void> {
    await this.#turn()
    this.#signal.throwIfAborted()
    this.#deadline = this.#now() + this.#budgetMs
  }
}
