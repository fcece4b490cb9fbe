import { randomUUID } from 'node:crypto'
import { RuncastError } from '../../protocol/codes.js'
import type { Admission } from '../admission.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import { RedisLease } from './lease.js'

export interface AdmissionOptions {
  readonly maxPerUser: number
  /** Lifetime of a slot without renewal, and the interval at which a node renews its slots. */
  readonly leaseMs: number
  readonly renewMs: number
  /** Lifetime of a node's lease. The slots of a dead node are free after that. */
  readonly nodeLeaseMs: number
  readonly onFault?: (error: unknown) => void
}

export const DEFAULT_ADMISSION_OPTIONS = { maxPerUser: 10, leaseMs: 24_000, renewMs: 8000, nodeLeaseMs: 4000 } as const

const NEVER = Number.NEGATIVE_INFINITY
/**
 * A node with many users renews their slots in this many portions, so that it never blocks Redis for all of them at
 * once.
 */
const PORTIONS = 8
/** How often a node renews its own lease within its lifetime. */
const NODE_RENEWALS = 4
/** Prefix of nodes that have a lease of their own. The slots of hubs before 0.2 expire only by their own leases. */
const LEASED = '@'
/**
 * Maximum number of slots of one user that are checked for dead nodes. Those renewed longest ago are checked first.
 */
const MAX_INSPECTED = 1000

/** The sockets of one user on this node. A slot that is still being reserved is listed, but not renewed. */
interface User {
  readonly slots: Map<string, { admitted: boolean }>
  renewAt: number
}

/**
 * Slots in Redis: one sorted set per user, and one lease per node that has users. A user without a free slot gets
 * those of dead nodes. The connection belongs to the caller. It keeps the order of commands, so a `leave` follows its
 * `enter`.
 */
export class RedisAdmission implements Admission {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #options: AdmissionOptions
  readonly #nodeId = `${LEASED}${randomUUID()}`
  readonly #lease: RedisLease
  /** When the lease of the node was last renewed. */
  #leasedAt = NEVER
  readonly #users = new Map<string, User>()
  readonly #timers: readonly NodeJS.Timeout[]
  #renewing: Promise<unknown> | undefined
  #leasing: Promise<void> | undefined

  constructor(commands: CommandConnection, keys: RedisKeys, options: AdmissionOptions) {
    this.#commands = commands
    this.#keys = keys
    this.#options = options
    this.#lease = new RedisLease(commands, keys.node(this.#nodeId), options.nodeLeaseMs)
    const every = (ms: number, act: () => void) => setInterval(act, ms).unref()
    this.#timers = [
      every(options.renewMs / PORTIONS, () => this.#renewDue()),
      every(options.nodeLeaseMs / NODE_RENEWALS, () => {
        if (this.#users.size > 0) this.#renewLease().catch((error: unknown) => this.#report(error))
      }),
    ]
  }

  async enter(sub: string, socketId: string): Promise<boolean> {
    const user = this.#users.get(sub) ?? { slots: new Map(), renewAt: performance.now() + this.#options.renewMs }
    const slot = user.slots.get(socketId) ?? { admitted: false }
    user.slots.set(socketId, slot)
    this.#users.set(sub, user)
    try {
      const isAdmitted = await this.#admit(sub, socketId)
      // The socket may have left during the request; then it has no slot any more.
      const isHere = this.#users.get(sub)?.slots.get(socketId) === slot
      if (isHere && isAdmitted) slot.admitted = true
      else if (isHere) this.#forget(sub, socketId)
      else if (isAdmitted && !this.#users.get(sub)?.slots.has(socketId)) await this.#release(sub, [socketId])
      return isHere && isAdmitted
    } catch (error) {
      // Whether the slot was reserved is unknown. If it was, it is returned here, or its lease expires.
      void this.leave(sub, socketId)
      throw error
    }
  }

  async leave(sub: string, socketId: string): Promise<void> {
    if (this.#forget(sub, socketId)) await this.#release(sub, [socketId])
  }

  async leaveAll(): Promise<void> {
    const users = [...this.#users]
    this.#users.clear()
    await Promise.all([...users.map(([sub, { slots }]) => this.#release(sub, [...slots.keys()])), this.#releaseLease()])
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  async #admit(sub: string, socketId: string): Promise<boolean> {
    const { maxPerUser, leaseMs, nodeLeaseMs } = this.#options
    // Without a lease, other nodes would consider this node dead and its slots free.
    if (performance.now() - this.#leasedAt > nodeLeaseMs / 2) await this.#renewLease()
    const key = this.#keys.sockets(sub)
    const admit = (...dead: readonly string[]) =>
      asked(this.#commands.runcastAdmit(key, this.#member(socketId), maxPerUser, leaseMs, ...dead))
    if ((await admit()) === 1) return true
    const dead = await this.#sharesOfDeadNodes(key)
    return dead.length > 0 && (await admit(...dead)) === 1
  }

  async #sharesOfDeadNodes(key: string): Promise<string[]> {
    const members = await asked(this.#commands.zrange(key, 0, String(MAX_INSPECTED - 1)))
    const nodes = new Set(members.filter((member) => member.startsWith(LEASED)).map(nodeOf))
    nodes.delete(this.#nodeId)
    // One command per key: in a cluster each key has its own slot.
    const counts = await Promise.all(
      [...nodes].map(async (node) => [node, await asked(this.#commands.exists(this.#keys.node(node)))] as const),
    )
    const dead = new Set(counts.filter(([, count]) => count === 0).map(([node]) => node))
    return members.filter((member) => dead.has(nodeOf(member)))
  }

  #renewLease(): Promise<void> {
    this.#leasing ??= this.#holdLease().finally(() => {
      this.#leasing = undefined
    })
    return this.#leasing
  }

  async #holdLease(): Promise<void> {
    const now = performance.now()
    await this.#lease.acquire()
    this.#leasedAt = now
  }

  async #releaseLease(): Promise<void> {
    // Also a lease that is just being acquired: commands keep their order.
    if (this.#leasedAt === NEVER && !this.#leasing) return
    await this.#lease.release().catch((error: unknown) => this.#report(error))
    this.#leasedAt = NEVER
  }

  #member(socketId: string): string {
    return `${this.#nodeId}:${socketId}`
  }

  #forget(sub: string, socketId: string): boolean {
    const user = this.#users.get(sub)
    const wasThere = user?.slots.delete(socketId) ?? false
    if (user?.slots.size === 0) this.#users.delete(sub)
    return wasThere
  }

  async #release(sub: string, socketIds: readonly string[]): Promise<void> {
    const members = socketIds.map((socketId) => this.#member(socketId))
    await asked(this.#commands.zrem(this.#keys.sockets(sub), ...members)).catch((error: unknown) => this.#report(error))
  }

  /** Outages of Redis are reported by the connection itself. */
  #report(error: unknown): void {
    if (!(error instanceof RuncastError)) this.#options.onFault?.(error)
  }

  /**
   * One portion at a time, so that calls do not pile up while Redis does not answer. Slots that could not be renewed
   * stay due.
   */
  #renewDue(): void {
    if (this.#renewing) return
    const now = performance.now()
    const due = [...this.#users].filter(([, user]) => user.renewAt <= now)
    this.#renewing = Promise.all(due.map(([sub, user]) => this.#renew(sub, user)))
      .catch((error: unknown) => this.#report(error))
      .finally(() => {
        this.#renewing = undefined
      })
  }

  async #renew(sub: string, user: User): Promise<void> {
    const members = [...user.slots].filter(([, { admitted }]) => admitted).map(([socketId]) => this.#member(socketId))
    if (members.length === 0) return
    await asked(this.#commands.runcastRenew(this.#keys.sockets(sub), this.#options.leaseMs, ...members))
    user.renewAt = performance.now() + this.#options.renewMs
  }
}

/** The node of a slot, `<node>:<socket>`. */
function nodeOf(member: string): string {
  return member.slice(0, member.indexOf(':'))
}
