import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** How much there is to do in one queue. */
export interface QueueDepth {
  readonly queue: string
  /** Rounds that may be handed out as soon as a worker has room for them. Where their owner has places left in several queues, those count in each. */
  readonly waiting: number
  /** Rounds whose owner has no place left for them: they wait until another one of the owner's ends. */
  readonly held: number
  /** Rounds that were handed out and have not ended. */
  readonly active: number
  /** How long the round that was handed out first waits for a worker to take it; 0 where none does. */
  readonly headWaitMs: number
}

export interface DepthLimits {
  /** Most admitted rounds of one user, as at the fair scheduler. */
  readonly maxActivePerUser: number
  /** Of the users without any admitted round, the most that are looked at in a queue; the others count for one waiting round each. */
  readonly maxUsers: number
}

/** About as many as Redis looks at in some milliseconds. */
export const DEFAULT_MAX_USERS = 1000

/** The depths of all queues, by one command whose price grows with the users who wait and with what is handed out, not with what waits. Rejects with `overloaded` where Redis cannot be reached. */
export class RedisDepths {
  readonly #commands: CommandConnection
  readonly #base: string
  readonly #limits: DepthLimits

  constructor(commands: CommandConnection, keys: RedisKeys, limits: DepthLimits) {
    this.#commands = commands
    this.#base = keys.scheduler().base
    this.#limits = limits
  }

  async read(): Promise<readonly QueueDepth[]> {
    const { maxActivePerUser, maxUsers } = this.#limits
    const rows = await asked(this.#commands.runcastSchedulerDepths(this.#base, maxActivePerUser, maxUsers))
    return rows.map(([queue, waiting, held, active, ms]) => ({ queue, waiting, held, active, headWaitMs: Math.max(0, ms) }))
  }
}
