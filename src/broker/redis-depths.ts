import { asked, type CommandConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'

/** How much there is to do in one queue. */
export interface QueueDepth {
  readonly queue: string
  /** Rounds that wait for their turn. */
  readonly waiting: number
  /** Rounds that were handed out and have not ended. */
  readonly active: number
  /** How long the round that was handed out first waits for a worker to take it; 0 where none does. */
  readonly headWaitMs: number
}

/** The depths of all queues, by one command whose price does not grow with what waits. Rejects with `overloaded` where Redis cannot be reached. */
export class RedisDepths {
  readonly #commands: CommandConnection
  readonly #base: string

  constructor(commands: CommandConnection, keys: RedisKeys) {
    this.#commands = commands
    this.#base = keys.gate().base
  }

  async read(): Promise<readonly QueueDepth[]> {
    const rows = await asked(this.#commands.runcastGateDepths(this.#base, 0))
    return rows.map(([queue, waiting, active, ms]) => ({ queue, waiting, active, headWaitMs: Math.max(0, ms) }))
  }
}
