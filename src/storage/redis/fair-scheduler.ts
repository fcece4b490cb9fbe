import type { FairScheduler, QueuedRound, QueueRef, Reserved, SchedulerLimits, SchedulerState } from '../fair-scheduler.js'
import type { JobRound } from '../job-store.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import { memberOf, type RedisKeys, roundOf } from './keys.js'
import { RedisStorage } from './storage.js'

/**
 * Prefetch limit: maximum number of admitted executions of a queue that were not started. A larger one would break the
 * round-robin order.
 */
const PREFETCH = 1
const HOUR_MS = 3600_000
/** A user who was served longer ago than this, or before so many other users, counts as never served. */
const MEMORY = { users: 10_000, ms: HOUR_MS }
/** Retry delay for limits on waiting executions. Nobody knows when a waiting execution will leave. */
const WAITING_RETRY_MS = 10_000

/**
 * The fair scheduler in Redis, on a connection of its owner. All its keys lie in one hash slot, so one shard of a
 * cluster handles every submit.
 */
export class RedisFairScheduler implements FairScheduler {
  readonly #commands: CommandConnection
  readonly #keys: ReturnType<RedisKeys['scheduler']>
  readonly #limits: SchedulerLimits
  readonly #storage: RedisStorage

  constructor(commands: CommandConnection, keys: RedisKeys, limits: SchedulerLimits) {
    this.#commands = commands
    this.#keys = keys.scheduler()
    this.#limits = limits
    this.#storage = new RedisStorage(commands, keys)
  }

  async reserve(owner: string, round: JobRound, isFree = false): Promise<Reserved> {
    const { maxPerHour, maxWaitingPerUser, maxWaiting, maxBytesPerUser: limit } = this.#limits
    const { bytes, belowLimitInMs } = await this.#storage.stored(owner, limit)
    if (bytes >= limit) return { ok: false, reason: 'bytes', bytes, limit, retryAfterMs: belowLimitInMs }
    if (isFree) return { ok: true }
    const limits = [maxPerHour, HOUR_MS, maxWaitingPerUser, maxWaiting]
    const [answer, ms] = await asked(this.#commands.runcastSchedulerReserve(...this.#common(), owner, memberOf(round), ...limits))
    if (answer === 'ok') return { ok: true }
    return { ok: false, reason: answer, retryAfterMs: answer === 'hour' ? ms : WAITING_RETRY_MS }
  }

  enter({ owner, queue, isFree, priority = 0, notBefore = 0, ...round }: QueuedRound): Promise<SchedulerState> {
    const place = [queue, isFree ? 'f' : 'c', owner, priority, notBefore]
    return asked(this.#commands.runcastSchedulerEnter(...this.#common(), memberOf(round), ...place))
  }

  async next(): Promise<QueueRef | null> {
    const taken = await asked(this.#commands.runcastSchedulerNext(...this.#common(), PREFETCH, MEMORY.users, MEMORY.ms))
    return taken && { queue: taken[0], ...roundOf(taken[1]) }
  }

  async started({ queue, ...round }: QueueRef): Promise<boolean> {
    return (await asked(this.#commands.zrem(this.#keys.window(queue), memberOf(round)))) === 1
  }

  leave(round: JobRound): Promise<string | null> {
    return asked(this.#commands.runcastSchedulerLeave(...this.#common(), memberOf(round)))
  }

  async state(round: JobRound): Promise<SchedulerState | null> {
    const member = memberOf(round)
    // In this order: an execution goes from waiting to admitted, never back.
    if ((await asked(this.#commands.hexists(this.#keys.waiting, member))) === 1) return 'waiting'
    return (await asked(this.#commands.hexists(this.#keys.admitted, member))) === 1 ? 'admitted' : null
  }

  async nextDue(): Promise<number | null> {
    const [, due] = await asked(this.#commands.zrange(this.#keys.delayed, '0', '0', 'WITHSCORES'))
    return due === undefined ? null : Number(due)
  }

  async prefetched(): Promise<readonly QueueRef[]> {
    const queues = await asked(this.#commands.smembers(this.#keys.queues))
    const windows = queues.map(async (queue) => {
      const members = await asked(this.#commands.zrange(this.#keys.window(queue), '0', '-1'))
      return members.map((member) => ({ queue, ...roundOf(member) }))
    })
    return (await Promise.all(windows)).flat()
  }

  /** The first arguments of every script of the fair scheduler. */
  #common(): [base: string, maxActive: number] {
    return [this.#keys.base, this.#limits.maxActivePerUser]
  }
}
