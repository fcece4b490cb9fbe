import type { JobRound } from '../job-store.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import { type RedisKeys, roundOf } from './keys.js'

/** The record of a job, without its input and its entries. Null fields are not set. */
export interface JobRecordRow {
  readonly id: string
  readonly kind: string
  readonly owner: string
  readonly solver: string | null
  readonly status: string
  readonly round: number
  readonly attempt: number
  readonly token: number
  readonly parent: string | null
  readonly created_at: string
  readonly started_at: string | null
}

/** Users with waiting executions in a queue. */
export interface WaitingUser {
  readonly queue: string
  readonly user: string
  readonly waiting: number
}

/** Users of one queue that are examined, see `scheduler-users.lua`. */
const MAX_USERS = 1000
const FIELDS = ['kind', 'owner', 'solver', 'status', 'round', 'attempt', 'token', 'parent', 'created_at', 'started_at'] as const

/** Bounded reads over the jobs of all users, for operators. Rejects with `overloaded` if Redis cannot be reached. */
export class RedisOverview {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys

  constructor(commands: CommandConnection, keys: RedisKeys) {
    this.#commands = commands
    this.#keys = keys
  }

  /**
   * About `limit` executions of the sweeper's index, in no order, and the cursor of the next page; null at the end. An
   * execution that is in the index from the first page to the last is on one of them. One may be on two.
   */
  async active(limit: number, cursor: string): Promise<{ rounds: readonly JobRound[]; cursor: string | null }> {
    const [next, pairs] = await asked(this.#commands.zscan(this.#keys.active(), cursor, 'COUNT', limit))
    const members = pairs.filter((_, i) => i % 2 === 0)
    return { rounds: [...new Set(members)].map(roundOf), cursor: next === '0' ? null : next }
  }

  /** The records of these jobs, in this order, without those that do not exist. */
  async records(ids: readonly string[]): Promise<JobRecordRow[]> {
    const rows = await asked(Promise.all(ids.map((id) => this.#commands.hmget(this.#keys.job(id), ...FIELDS))))
    return rows.flatMap(([kind, owner, solver, status, round, attempt, token, parent, created, started], i) => {
      const id = ids[i]
      if (id === undefined || !kind || !owner || !status || !created) return []
      const counts = { round: Number(round), attempt: Number(attempt), token: Number(token ?? 0) }
      const rest = { solver: solver ?? null, parent: parent ?? null, created_at: created, started_at: started ?? null }
      return [{ id, kind, owner, status, ...counts, ...rest }]
    })
  }

  /** The users with the most waiting executions, by queue. */
  async busiest(maxActivePerUser: number, limit: number): Promise<WaitingUser[]> {
    const { base } = this.#keys.scheduler()
    const rows = await asked(this.#commands.runcastSchedulerUsers(base, maxActivePerUser, MAX_USERS, limit))
    return rows.map(([queue, user, waiting]) => ({ queue, user, waiting }))
  }
}
