import { KIND_NAMES, type KindName } from '../protocol/kinds.js'
import type { Gate, GateLimits, GateRound, GateState, Reserved } from './gate.js'
import type { JobRound } from './job-store.js'
import { asked, type CommandConnection } from './redis-connection.js'
import { memberOf, type RedisKeys, roundOf } from './redis-keys.js'

/** Admitted rounds of a kind that were not started. More would run ahead of the turns. */
const WINDOW = 1
const HOUR_MS = 3600_000
/** Whoever was served longer ago than this, or than so many others, counts as never served. */
const MEMORY = { users: 10_000, ms: HOUR_MS }
/** When something that waits will have gone is not known. */
const WAITING_RETRY_MS = 10_000

/** The gate in Redis, on a connection of its owner. All of it lies in one hash slot: the price is that one shard of a cluster takes every submit. */
export class RedisGate implements Gate {
  readonly #commands: CommandConnection
  readonly #keys: ReturnType<RedisKeys['gate']>
  readonly #limits: GateLimits

  constructor(commands: CommandConnection, keys: RedisKeys, limits: GateLimits) {
    this.#commands = commands
    this.#keys = keys.gate()
    this.#limits = limits
  }

  async reserve(owner: string, round: JobRound): Promise<Reserved> {
    const { maxPerHour, maxWaitingPerUser, maxWaiting } = this.#limits
    const queues = KIND_NAMES.map((kind) => this.#keys.queue(kind, owner))
    const keys = [this.#keys.hour(owner), this.#keys.waiting, ...queues]
    const limits = [maxPerHour, HOUR_MS, maxWaitingPerUser, maxWaiting]
    const [answer, ms] = await asked(this.#commands.runcastGateReserve(...keys, memberOf(round), ...limits))
    if (answer === 'ok') return { ok: true }
    return { ok: false, reason: answer, retryAfterMs: answer === 'hour' ? ms : WAITING_RETRY_MS }
  }

  enter({ owner, kind, ...round }: GateRound): Promise<GateState> {
    return asked(this.#commands.runcastGateEnter(...this.#common(), memberOf(round), kind, owner))
  }

  async next(kind: KindName): Promise<JobRound | null> {
    const member = await asked(this.#commands.runcastGateNext(...this.#common(), kind, WINDOW, MEMORY.users, MEMORY.ms))
    return member === null ? null : roundOf(member)
  }

  async started(kind: KindName, round: JobRound): Promise<boolean> {
    return (await asked(this.#commands.zrem(this.#keys.window(kind), memberOf(round)))) === 1
  }

  async leave(round: JobRound): Promise<boolean> {
    return (await asked(this.#commands.runcastGateLeave(...this.#common(), memberOf(round)))) === 1
  }

  async state(round: JobRound): Promise<GateState | null> {
    const member = memberOf(round)
    // In this order: from waiting a round goes to admitted, never back.
    if ((await asked(this.#commands.hexists(this.#keys.waiting, member))) === 1) return 'waiting'
    return (await asked(this.#commands.hexists(this.#keys.admitted, member))) === 1 ? 'admitted' : null
  }

  async window(kind: KindName): Promise<readonly JobRound[]> {
    return (await asked(this.#commands.zrange(this.#keys.window(kind), '0', '-1'))).map(roundOf)
  }

  /** What begins the arguments of every script that is made with `gate.lua`. */
  #common(): [base: string, kinds: string, maxActive: number] {
    return [this.#keys.base, KIND_NAMES.join(), this.#limits.maxActivePerUser]
  }
}
