import { randomUUID } from 'node:crypto'
import type { Lease } from '../lease.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'

/** A lease in Redis, measured by the clock of Redis. */
export class RedisLease implements Lease {
  readonly #commands: CommandConnection
  readonly #key: string
  readonly #leaseMs: number
  readonly #holder = randomUUID()

  constructor(commands: CommandConnection, key: string, leaseMs: number) {
    this.#commands = commands
    this.#key = key
    this.#leaseMs = leaseMs
  }

  async acquire(): Promise<boolean> {
    return (await asked(this.#commands.runcastLease(this.#key, this.#holder, this.#leaseMs))) === 1
  }

  async release(): Promise<void> {
    await asked(this.#commands.runcastLease(this.#key, this.#holder, 0))
  }
}
