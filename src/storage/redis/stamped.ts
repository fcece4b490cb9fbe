import { randomBytes, randomUUID } from 'node:crypto'
import { type Command, Redis, type RedisOptions } from 'ioredis'

/** Placeholder argument of a script that needs the identity of its store. `StampedRedis` replaces it. */
export const STORE = randomUUID()

const PROBE_INTERVAL_MS = 5000
const ID_LENGTH = 16

/**
 * A connection that knows the identity of its store: the replication id, which changes with each restart and each
 * promotion. It reads the identity from the ready check of each connect and again every 5 s, because a replica may be
 * promoted while the connection stays open.
 * A script gets the identity at the moment it is sent. A script that was queued, or is sent again after a reconnect,
 * therefore names the store that it reaches.
 */
export class StampedRedis extends Redis {
  #store = unknownStore()
  readonly #stamped = new WeakSet<Command>()

  constructor(url: string, options: Omit<RedisOptions, 'replyMapping'>) {
    super(url, options)
    const timer = setInterval(() => this.#probe(), PROBE_INTERVAL_MS).unref()
    this.once('end', () => clearInterval(timer))
  }

  override sendCommand(...[command, stream]: Parameters<Redis['sendCommand']>): unknown {
    if (command.name === 'info') this.#readIdentity(command)
    else this.#stamp(command)
    return super.sendCommand(command, stream)
  }

  /** The arguments of a script are its digest, the number of its keys, the keys, and ARGV. */
  #stamp(command: Command): void {
    if (!command.name.startsWith('eval')) return
    const at = 2 + Number(command.args[1])
    if (command.args[at] === STORE) this.#stamped.add(command)
    if (this.#stamped.has(command)) command.args[at] = this.#store
  }

  /** Reads the identity when the reply arrives: queued commands are sent right after the ready check. */
  #readIdentity(command: Command): void {
    const resolve = command.resolve
    if (this.status !== 'ready') this.#store = unknownStore()
    command.resolve = (reply: unknown) => {
      this.#store = identityIn(String(reply)) ?? this.#store
      resolve(reply)
    }
  }

  #probe(): void {
    // A connection that does not answer is replaced. The new one reads the identity again.
    if (this.status === 'ready') this.info().catch(() => {})
  }
}

/**
 * Null if a reply has no replication id. A replica may be promoted before the next probe, so the id of its master is
 * not its identity.
 */
function identityIn(info: string): string | null {
  const role = /^role:(\w+)/m.exec(info)?.[1]
  const id = /^master_replid:(\w+)/m.exec(info)?.[1] ?? /^run_id:(\w+)/m.exec(info)?.[1]
  if (!role || !id) return null
  return role === 'master' ? id.slice(0, ID_LENGTH) : unknownStore()
}

/** A unique identity. A job that is written with it begins a new history, which is always safe. */
function unknownStore(): string {
  return randomBytes(ID_LENGTH / 2).toString('hex')
}
