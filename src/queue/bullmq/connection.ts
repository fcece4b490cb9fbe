import { Redis } from 'ioredis'
import { moveWithMaster, reconnectRule, type StoreWatch } from '../../storage/redis/store-health.js'

export interface BullConnectionOptions {
  /** Null: commands wait for as long as Redis is away, so that a worker does not lose what it has done. */
  readonly maxRetries: number | null
  readonly onFault: (error: Error) => void
  /** Called each time that it was lost and stands again. Not for the copies on which BullMQ waits: those it replaces by itself, at times twice for one loss. */
  readonly onReconnect?: () => void
  /** What this process knows of the server. */
  readonly store?: StoreWatch | undefined
}

/** Calls this each time that a connection, which may not stand yet, was lost and stands again. */
function countReconnects(connection: Redis, onReconnect: () => void): void {
  connection.once('ready', () => connection.on('ready', onReconnect))
}

/** A connection to hand to BullMQ. One on which no answer comes for 5 s is replaced, since it may be open and yet dead. */
export function connectBull(url: string, { maxRetries, onFault, onReconnect = () => {}, store }: BullConnectionOptions): Redis {
  const timeouts = { socketTimeout: 5000, ...(maxRetries !== null && { commandTimeout: 5000 }) }
  // BullMQ tries again by itself, and a command of a transaction must not be sent outside it.
  const reconnectOnError = reconnectRule(store, 1)
  const connection = endable(new Redis(url, { ...timeouts, maxRetriesPerRequest: maxRetries, reconnectOnError }), store)
  countReconnects(connection, onReconnect)
  connection.on('error', onFault)
  return connection
}

/** A connection on which a worker hears of cancels. It does not subscribe by itself: its owner must see whether that fails. */
export function connectControl(url: string, { onFault, onReconnect = () => {}, store }: Omit<BullConnectionOptions, 'maxRetries'>): Redis {
  const connection = new Redis(url, { maxRetriesPerRequest: null, autoResubscribe: false })
  countReconnects(connection, onReconnect)
  connection.on('error', onFault)
  moveWithMaster(connection, store)
  return connection
}

/**
 * BullMQ waits for `end` after it has disconnected a connection. Between two tries ioredis calls off the next one and says nothing, so whoever
 * closed a worker while Redis was away waited for ever. Here `end` comes in every state, of the copies that BullMQ makes as well.
 */
function endable(connection: Redis, store: StoreWatch | undefined): Redis {
  // One for each copy: a process may have many queues.
  connection.setMaxListeners(0)
  moveWithMaster(connection, store)
  const disconnect = connection.disconnect.bind(connection)
  connection.disconnect = (reconnect = false) => {
    // One that waits to be opened is ended by ioredis at once, with all that is in its queue.
    if (!reconnect && connection.status === 'reconnecting') connection.status = 'wait'
    disconnect(reconnect)
  }
  const duplicate = connection.duplicate.bind(connection)
  connection.duplicate = (override) => {
    const copy = duplicate(override)
    // BullMQ's blocking command is silent for longer than a live server else is; BullMQ watches over it itself.
    delete copy.options.socketTimeout
    endable(copy as Redis, store)
    // With it end its copies, and what waits on them.
    connection.once('end', () => copy.disconnect())
    return copy
  }
  return connection
}
