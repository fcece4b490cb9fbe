import { randomUUID } from 'node:crypto'
import { RuncastError } from '../../protocol/codes.js'
import type { Admission } from '../admission.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import { RedisLease } from './lease.js'

export interface AdmissionOptions {
  readonly maxPerUser: number
  /** How long a share lasts without renewal, and how often a node renews its shares. */
  readonly leaseMs: number
  readonly renewMs: number
  /** How long a node that dies counts as alive: its shares are free after that. */
  readonly nodeLeaseMs: number
  readonly onFault?: (error: unknown) => void
}

export const DEFAULT_ADMISSION_OPTIONS = { maxPerUser: 10, leaseMs: 24_000, renewMs: 8000, nodeLeaseMs: 4000 } as const

const NEVER = Number.NEGATIVE_INFINITY
/** A node with many users renews them in so many portions, or Redis would stand still for the time of all of them. */
const PORTIONS = 8
/** A node renews its own lease so many times within it. */
const NODE_RENEWALS = 4
/** Marks nodes that have a lease of their own. The shares of hubs before 0.2 expire by their own leases only. */
const LEASED = '@'
/** Most shares of one user that are looked at for dead nodes; those that were renewed longest ago come first. */
const MAX_INSPECTED = 1000

/** The sockets of one user on this node. A share that is being taken is known but not renewed. */
interface User {
  readonly shares: Map<string, { admitted: boolean }>
  renewAt: number
}

/**
 * Shares in Redis, one sorted set per user, and one lease per node that has users. A user who has no share left gets those of dead nodes. The connection is its
 * owner's; commands on it keep their order, so a `leave` comes after its `enter`.
 */
export class RedisAdmission implements Admission {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #options: AdmissionOptions
  readonly #nodeId = `${LEASED}${randomUUID()}`
  readonly #lease: RedisLease
  /** When the node's lease was renewed last. */
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
        if (this.#users.size > 0) this.#renewLease().catch((error: unknown) => this.#publish(error))
      }),
    ]
  }

  async enter(sub: string, socketId: string): Promise<boolean> {
    const user = this.#users.get(sub) ?? { shares: new Map(), renewAt: performance.now() + this.#options.renewMs }
    const share = user.shares.get(socketId) ?? { admitted: false }
    user.shares.set(socketId, share)
    this.#users.set(sub, user)
    try {
      const isAdmitted = await this.#admit(sub, socketId)
      // It may have left while it was asking; then it has nothing any more.
      const isHere = this.#users.get(sub)?.shares.get(socketId) === share
      if (isHere && isAdmitted) share.admitted = true
      else if (isHere) this.#forget(sub, socketId)
      else if (isAdmitted && !this.#users.get(sub)?.shares.has(socketId)) await this.#giveBack(sub, [socketId])
      return isHere && isAdmitted
    } catch (error) {
      // Whether the share was taken is not known: if it was, it is given back, or its lease runs out.
      void this.leave(sub, socketId)
      throw error
    }
  }

  async leave(sub: string, socketId: string): Promise<void> {
    if (this.#forget(sub, socketId)) await this.#giveBack(sub, [socketId])
  }

  async leaveAll(): Promise<void> {
    const users = [...this.#users]
    this.#users.clear()
    await Promise.all([...users.map(([sub, { shares }]) => this.#giveBack(sub, [...shares.keys()])), this.#giveLeaseBack()])
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  async #admit(sub: string, socketId: string): Promise<boolean> {
    const { maxPerUser, leaseMs, nodeLeaseMs } = this.#options
    // Without it another node would take this one for dead, and its shares for free.
    if (performance.now() - this.#leasedAt > nodeLeaseMs / 2) await this.#renewLease()
    const key = this.#keys.sockets(sub)
    const ask = (...dead: readonly string[]) =>
      asked(this.#commands.runcastAdmit(key, this.#member(socketId), maxPerUser, leaseMs, ...dead))
    if ((await ask()) === 1) return true
    const dead = await this.#sharesOfDeadNodes(key)
    return dead.length > 0 && (await ask(...dead)) === 1
  }

  async #sharesOfDeadNodes(key: string): Promise<string[]> {
    const members = await asked(this.#commands.zrange(key, 0, String(MAX_INSPECTED - 1)))
    const nodes = new Set(members.filter((member) => member.startsWith(LEASED)).map(nodeOf))
    nodes.delete(this.#nodeId)
    // One by one: in a cluster each key has its own slot.
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
    await this.#lease.hold()
    this.#leasedAt = now
  }

  async #giveLeaseBack(): Promise<void> {
    // Also one that is being taken: commands keep their order.
    if (this.#leasedAt === NEVER && !this.#leasing) return
    await this.#lease.release().catch((error: unknown) => this.#publish(error))
    this.#leasedAt = NEVER
  }

  #member(socketId: string): string {
    return `${this.#nodeId}:${socketId}`
  }

  #forget(sub: string, socketId: string): boolean {
    const user = this.#users.get(sub)
    const wasThere = user?.shares.delete(socketId) ?? false
    if (user?.shares.size === 0) this.#users.delete(sub)
    return wasThere
  }

  async #giveBack(sub: string, socketIds: readonly string[]): Promise<void> {
    const members = socketIds.map((socketId) => this.#member(socketId))
    await asked(this.#commands.zrem(this.#keys.sockets(sub), ...members)).catch((error: unknown) => this.#publish(error))
  }

  /** That Redis is away is told by the connection itself. */
  #publish(error: unknown): void {
    if (!(error instanceof RuncastError)) this.#options.onFault?.(error)
  }

  /** One portion at a time: while Redis does not answer, calls must not pile up. What could not be renewed stays due. */
  #renewDue(): void {
    if (this.#renewing) return
    const now = performance.now()
    const due = [...this.#users].filter(([, user]) => user.renewAt <= now)
    this.#renewing = Promise.all(due.map(([sub, user]) => this.#renew(sub, user)))
      .catch((error: unknown) => this.#publish(error))
      .finally(() => {
        this.#renewing = undefined
      })
  }

  async #renew(sub: string, user: User): Promise<void> {
    const members = [...user.shares].filter(([, { admitted }]) => admitted).map(([socketId]) => this.#member(socketId))
    if (members.length === 0) return
    await asked(this.#commands.runcastRenew(this.#keys.sockets(sub), this.#options.leaseMs, ...members))
    user.renewAt = performance.now() + this.#options.renewMs
  }
}

/** The node of a share, `<node>:<socket>`. */
function nodeOf(member: string): string {
  return member.slice(0, member.indexOf(':'))
}
