import { Redis } from 'ioredis'
import { asked } from '../store-fault.js'
import { databaseOf } from './keys.js'
import { redisScripts, type ScriptCommands } from './scripts.js'
import { StampedRedis } from './stamped.js'
import { moveWithMaster, type Probe, reconnectRule, type StoreWatch } from './store-health.js'

/** A connection for commands, with the broker's scripts on it. */
export type CommandConnection = Redis & ScriptCommands

export interface RedisConnectionOptions {
  readonly url: string
  /** Called with each fault of a connection; without it they are silent, since every caller learns of them by its own rejected command. */
  readonly onFault?: (error: Error) => void
  /** Called each time that a connection was lost and stands again. */
  readonly onReconnect?: () => void
  /** What this process knows of the server. */
  readonly store?: StoreWatch
}

const reconnect = { retryStrategy: (tries: number) => Math.min(50 * 2 ** Math.min(tries, 6), 2000) }

/**
 * Commands and scripts. A command that gets no answer within 5 s, or through two reconnects, is rejected: a frozen server is an error, not a wait.
 * A connection on which no answer comes is replaced, since it may be open and yet dead.
 * Writes that were under way when a connection broke are sent again, so every write is one that may arrive twice.
 */
export function connectCommands(options: RedisConnectionOptions): CommandConnection {
  const connection: Redis = new StampedRedis(options.url, {
    ...reconnect,
    scripts: redisScripts,
    enableAutoPipelining: true,
    commandTimeout: 5000,
    socketTimeout: 5000,
    maxRetriesPerRequest: 2,
    reconnectOnError: reconnectRule(options.store, 2),
  })
  listen(connection, options)
  return connection as CommandConnection // `scripts` has defined exactly the commands of ScriptCommands
}

/** For subscriptions alone. It does not resubscribe by itself: its owner must know when each subscription stands again. */
export function connectSubscriptions(options: RedisConnectionOptions): Redis {
  const connection = new Redis(options.url, { ...reconnect, autoResubscribe: false, commandTimeout: 5000, maxRetriesPerRequest: 2 })
  listen(connection, options)
  return connection
}

function listen(connection: Redis, { onFault = () => {}, onReconnect = () => {}, store }: RedisConnectionOptions): void {
  moveWithMaster(connection, store)
  connection.on('error', (error: Error) => {
    // ioredis would go on in database 0.
    if (isOfSelect(error)) connection.disconnect(true)
    onFault(error)
  })
  connection.once('ready', () => connection.on('ready', onReconnect))
}

/** Whether the server did not open the database of a connection. */
function isOfSelect(error: Error): boolean {
  return 'command' in error && (error.command as { name?: unknown } | undefined)?.name === 'select' // as ioredis marks each error reply
}

/** How long the key of a probe is kept. */
const SCRATCH_MS = 10_000
/** A probe does not wait for these: whether the server comes back is not asked. */
const GONE: ReadonlySet<string> = new Set(['close', 'reconnecting', 'end'])

/** Proves over this connection that the server takes writes. */
export function probeOf(connection: CommandConnection, key: string): Probe {
  return async () => {
    if (GONE.has(connection.status)) throw new Error('Connection is closed.')
    return connection.runcastProbe(key, SCRATCH_MS)
  }
}

/** Throws, with what to say of it, where a fault of a connection is that the server does not open the database of its URL. */
export function throwIfOfDatabase(cause: Error, url: string): void {
  if (isOfSelect(cause))
    throw new Error(`Redis at ${new URL(url).host} does not open database ${databaseOf(url)} (REDIS_URL): ${cause.message}`, { cause })
}

/** Major version and eviction policy of a server; the policy is null where the server does not tell (managed Redis without CONFIG). */
export async function inspectRedis(connection: Redis): Promise<{ major: number; policy: string | null }> {
  const info = await asked(connection.info('server'))
  const major = Number(/redis_version:(\d+)/.exec(info)?.[1] ?? 0)
  const policy = await connection.config('GET', 'maxmemory-policy').then(
    (pair) => (Array.isArray(pair) ? String(pair[1]) : null),
    () => null,
  )
  return { major, policy }
}
