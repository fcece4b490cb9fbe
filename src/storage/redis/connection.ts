import { Redis } from 'ioredis'
import { asked, storeFaultOf } from '../store-fault.js'
import { databaseOf } from './keys.js'
import { redisScripts, type ScriptCommands } from './scripts.js'
import { StampedRedis } from './stamped.js'
import { moveWithMaster, type Probe, reconnectRule, type StoreWatch } from './store-health.js'

/** A connection for commands, with the scripts of all adapters. */
export type CommandConnection = Redis & ScriptCommands

export interface RedisConnectionOptions {
  readonly url: string
  /**
   * Called with each error of a connection. Without it these errors are silent, because every caller also sees its own
   * command rejected.
   */
  readonly onFault?: (error: Error) => void
  /** Called each time a lost connection is ready again. */
  readonly onReconnect?: () => void
  /** Health of the server, as this process sees it. */
  readonly store?: StoreWatch
}

const reconnect = { retryStrategy: (tries: number) => Math.min(50 * 2 ** Math.min(tries, 6), 2000) }

/**
 * A connection for commands and scripts. A command without a reply within 5 s, or after two reconnects, is rejected: a
 * frozen server causes an error, not an endless wait. A connection without replies is replaced, because it may be open
 * but dead.
 * Writes in progress when a connection breaks are sent again, so every write must tolerate a repeat.
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

/**
 * A connection for subscriptions only. It does not resubscribe automatically: its owner must know when each
 * subscription is active again.
 */
export function connectSubscriptions(options: RedisConnectionOptions): Redis {
  const connection = new Redis(options.url, { ...reconnect, autoResubscribe: false, commandTimeout: 5000, maxRetriesPerRequest: 2 })
  listen(connection, options)
  return connection
}

/** Why the server did not let a connection in (NOAUTH, WRONGPASS, NOPERM), when it last tried. */
const denials = new WeakMap<Redis, Error>()

function listen(connection: Redis, { onFault = () => {}, onReconnect = () => {}, store }: RedisConnectionOptions): void {
  moveWithMaster(connection, store)
  connection.on('ready', () => denials.delete(connection))
  connection.on('error', (error: Error) => {
    if (storeFaultOf(error) === 'store_denies') denials.set(connection, error)
    else denials.delete(connection)
    // Otherwise ioredis would continue in database 0.
    if (isSelectError(error)) connection.disconnect(true)
    onFault(error)
  })
  connection.once('ready', () => connection.on('ready', onReconnect))
}

/** Whether the server failed to select the database of a connection. */
function isSelectError(error: Error): boolean {
  // As ioredis marks each error reply.
  return 'command' in error && (error.command as { name?: unknown } | undefined)?.name === 'select'
}

/** TTL of the key of a probe. */
const SCRATCH_MS = 10_000
/** States in which a probe fails at once instead of waiting for a reconnect. */
const GONE: ReadonlySet<string> = new Set(['close', 'reconnecting', 'end'])

/** Creates a probe: it proves over this connection that the server accepts writes. */
export function probeOf(connection: CommandConnection, key: string): Probe {
  return async () => {
    const denial = denials.get(connection)
    if (denial && connection.status !== 'ready') throw denial
    if (GONE.has(connection.status)) throw new Error('Connection is closed.')
    return connection.runcastProbe(key, SCRATCH_MS)
  }
}

/**
 * Throws an error with an explanation if a connection failed because the server cannot select the database of its URL.
 */
export function throwIfOfDatabase(cause: Error, url: string): void {
  if (isSelectError(cause))
    throw new Error(`Redis at ${new URL(url).host} cannot select database ${databaseOf(url)} (REDIS_URL): ${cause.message}`, { cause })
}

/**
 * Major version and eviction policy of a server. The policy is null if the server does not reveal it (managed Redis
 * without CONFIG).
 */
export async function inspectRedis(connection: Redis): Promise<{ major: number; policy: string | null }> {
  const info = await asked(connection.info('server'))
  const major = Number(/redis_version:(\d+)/.exec(info)?.[1] ?? 0)
  const policy = await connection.config('GET', 'maxmemory-policy').then(
    (pair) => (Array.isArray(pair) ? String(pair[1]) : null),
    () => null,
  )
  return { major, policy }
}
