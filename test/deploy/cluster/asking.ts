import { setTimeout as sleep } from 'node:timers/promises'
import type { Users } from './clients.js'

/** Asks the service again and again, each time on a new connection, until it is told to stop: how often each answer came. */
export class Asking {
  readonly outcomes = new Map<string, number>()
  readonly #over: Promise<void>
  #isOver = false

  constructor(users: Users) {
    this.#over = this.#ask(users)
  }

  async stop(): Promise<Record<string, number>> {
    this.#isOver = true
    await this.#over
    return Object.fromEntries(this.outcomes)
  }

  async #ask(users: Users): Promise<void> {
    while (!this.#isOver) {
      const outcome = await users.call('asker', 'GET', '/api/v2/runs').then(
        ({ status }) => `${status}`,
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      )
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
      await sleep(50)
    }
  }
}
