import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** Number of executions in one queue. */
export interface QueueDepth {
  readonly queue: string
  /**
   * Executions that may be admitted as soon as a worker is free. If their owner has free slots, waiting executions in
   * several queues count in each.
   */
  readonly waiting: number
  /** Executions whose owner has no free slot. They wait until another execution of the owner ends. */
  readonly held: number
  /** Executions that were admitted and have not ended. */
  readonly active: number
  /** How long the first admitted execution has been waiting for a worker. 0 if none is waiting. */
  readonly headWaitMs: number
}

export interface DepthLimits {
  /** Maximum number of admitted executions of one user, as in the fair scheduler. */
  readonly maxActivePerUser: number
  /**
   * Maximum number of users without an admitted execution that are examined per queue. Each further user counts as one
   * waiting execution.
   */
  readonly maxUsers: number
}

/** About as many as Redis examines in a few milliseconds. */
export const DEFAULT_MAX_USERS = 1000

/**
 * The depths of all queues, read by one command. Its cost grows with the number of waiting users and of admitted
 * executions, not with the number of waiting executions. Rejects with `overloaded` if Redis cannot be reached.
 */
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
