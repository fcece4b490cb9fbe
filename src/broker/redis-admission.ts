import { randomUUID } from 'node:crypto'
import type { Admission } from '../hub/admission.js'
import { Refusal } from '../protocol/codes.js'
import type { CommandConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'
import { asked } from './store-fault.js'

export interface AdmissionOptions {
  readonly maxPerUser: number
  /** How long a share outlives its node, and how often a node renews its leases. */
  readonly leaseMs: number
  readonly renewMs: number
  readonly onFault?: (error: unknown) => void
}

export const DEFAULT_ADMISSION_OPTIONS = { maxPerUser: 10, leaseMs: 24_000, renewMs: 8000 } as const

/** A node with many users renews them in so many portions, or Redis would stand still for the time of all of them. */
const PORTIONS = 8

/** The sockets of one user on this node. A share that is being taken is known but not renewed. */
interface User {
  readonly shares: Map<string, { admitted: boolean }>
  renewAt: number
}

/** Shares in Redis, one sorted set a user. The connection is its owner's; commands on it keep their order, so a `leave` comes after its `enter`. */
export class RedisAdmission implements Admission {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #options: AdmissionOptions
  readonly #nodeId = randomUUID()
  readonly #users = new Map<string, User>()
  readonly #timer: NodeJS.Timeout
  #renewing: Promise<unknown> | undefined

  constructor(commands: CommandConnection, keys: RedisKeys, options: AdmissionOptions) {
    this.#commands = commands
    this.#keys = keys
    this.#options = options
    this.#timer = setInterval(() => this.#renewDue(), options.renewMs / PORTIONS).unref()
  }

  async enter(sub: string, socketId: string): Promise<boolean> {
    const { maxPerUser, leaseMs, renewMs } = this.#options
    const user = this.#users.get(sub) ?? { shares: new Map(), renewAt: Date.now() + renewMs }
    const share = user.shares.get(socketId) ?? { admitted: false }
    user.shares.set(socketId, share)
    this.#users.set(sub, user)
    try {
      const admitted = await asked(this.#commands.runcastAdmit(this.#keys.sockets(sub), this.#member(socketId), maxPerUser, leaseMs))
      // It may have left while it was asking; then it has nothing any more.
      const isHere = this.#users.get(sub)?.shares.get(socketId) === share
      if (isHere && admitted === 1) share.admitted = true
      else if (isHere) this.#forget(sub, socketId)
      return isHere && admitted === 1
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
    await Promise.all(users.map(([sub, { shares }]) => this.#giveBack(sub, [...shares.keys()])))
  }

  close(): void {
    clearInterval(this.#timer)
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
    await asked(this.#commands.zrem(this.#keys.sockets(sub), ...members)).catch((error: unknown) => this.#tell(error))
  }

  /** That Redis is away is told by the connection itself. */
  #tell(error: unknown): void {
    if (!(error instanceof Refusal)) this.#options.onFault?.(error)
  }

  /** One portion at a time: while Redis does not answer, calls must not pile up. What could not be renewed stays due. */
  #renewDue(): void {
    if (this.#renewing) return
    const now = Date.now()
    const due = [...this.#users].filter(([, user]) => user.renewAt <= now)
    this.#renewing = Promise.all(due.map(([sub, user]) => this.#renew(sub, user)))
      .catch((error: unknown) => this.#tell(error))
      .finally(() => {
        this.#renewing = undefined
      })
  }

  async #renew(sub: string, user: User): Promise<void> {
    const members = [...user.shares].filter(([, { admitted }]) => admitted).map(([socketId]) => this.#member(socketId))
    if (members.length === 0) return
    await asked(this.#commands.runcastRenew(this.#keys.sockets(sub), this.#options.leaseMs, ...members))
    user.renewAt = Date.now() + this.#options.renewMs
  }
}
