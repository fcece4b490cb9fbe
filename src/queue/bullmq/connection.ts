import { Redis } from 'ioredis'
import { moveWithMaster, reconnectRule, type StoreWatch } from '../../storage/redis/store-health.js'

export interface BullConnectionOptions {
  /** Null: commands wait as long as Redis is unreachable, so that a worker does not lose its results. */
  readonly maxRetries: number | null
  readonly onFault: (error: Error) => void
  /**
   * Called each time the lost connection is ready again. Not called for the copies on which BullMQ waits: BullMQ
   * replaces those itself, sometimes twice for one loss.
   */
  readonly onReconnect?: () => void
  /** Health of the server, as this process sees it. */
  readonly store?: StoreWatch | undefined
}

/** Calls `onReconnect` each time a lost connection is ready again. The connection need not be ready yet. */
function countReconnects(connection: Redis, onReconnect: () => void): void {
  connection.once('ready', () => connection.on('ready', onReconnect))
}

/**
 * Creates a connection for BullMQ. A connection without replies for 5 s is replaced, because it may be open but dead.
 */
export function connectBull(url: string, { maxRetries, onFault, onReconnect = () => {}, store }: BullConnectionOptions): Redis {
  const timeouts = { socketTimeout: 5000, ...(maxRetries !== null && { commandTimeout: 5000 }) }
  // BullMQ retries by itself, and a command of a transaction must not be sent outside it.
  const reconnectOnError = reconnectRule(store, 1)
  const connection = endable(new Redis(url, { ...timeouts, maxRetriesPerRequest: maxRetries, reconnectOnError }), store)
  countReconnects(connection, onReconnect)
  connection.on('error', onFault)
  return connection
}

/**
 * Creates the connection on which a worker receives cancels. It does not resubscribe automatically: its owner must see
 * whether a subscription fails.
 */
export function connectControl(url: string, { onFault, onReconnect = () => {}, store }: Omit<BullConnectionOptions, 'maxRetries'>): Redis {
  const connection = endable(new Redis(url, { maxRetriesPerRequest: null, autoResubscribe: false }), store)
  countReconnects(connection, onReconnect)
  connection.on('error', onFault)
  return connection
}

/**
 * BullMQ waits for `end` after it has disconnected a connection, and a command waits for its connection. Between two
 * connection attempts, ioredis cancels the next attempt without emitting `end` and without rejecting commands, so
 * closing a worker while Redis was unreachable never finished. This wrapper makes ioredis do both in every state, also
 * for the copies that BullMQ makes.
 */
function endable(connection: Redis, store: StoreWatch | undefined): Redis {
  // One listener per copy: a process may have many queues.
  connection.setMaxListeners(0)
  moveWithMaster(connection, store)
  const disconnect = connection.disconnect.bind(connection)
  connection.disconnect = (reconnect = false) => {
    // In the state `wait`, ioredis ends the connection at once, together with its queued commands.
    if (!reconnect && connection.status === 'reconnecting') connection.status = 'wait'
    disconnect(reconnect)
  }
  const duplicate = connection.duplicate.bind(connection)
  connection.duplicate = (override) => {
    const copy = duplicate(override)
    // BullMQ's blocking command gets no reply for longer than the timeout. BullMQ supervises it itself.
    delete copy.options.socketTimeout
    endable(copy as Redis, store)
    // The copies end with the connection, and so does everything that waits on them.
    connection.once('end', () => copy.disconnect())
    return copy
  }
  return connection
}
