import { RuncastError, STORE_REASONS, type StoreReason } from '../protocol/codes.js'

/** Messages of ioredis when it gives a command up. These errors have no name and no code of their own. */
const CONNECTION_LOST =
  /^(Connection is closed\.|Command timed out|Socket timeout\. |connect ETIMEDOUT|Stream isn't writeable |All sentinels are unreachable)/
/** Names of errors of commands that were cancelled together with their connection. */
const CANCELLED: ReadonlySet<string> = new Set(['AbortError', 'MaxRetriesPerRequestError', 'ClusterAllFailedError'])

/** First words of error replies that concern the state of the server, not the command. */
const SERVER_REASONS: Readonly<Record<string, StoreReason>> = {
  OOM: 'store_full',
  MISCONF: 'store_not_saving',
  NOREPLICAS: 'store_lacks_replicas',
  READONLY: 'store_read_only',
  // The reply to a blocking command when its server becomes a replica.
  UNBLOCKED: 'store_read_only',
  MOVED: 'store_moved',
  ASK: 'store_moved',
  NOPERM: 'store_denies',
  NOAUTH: 'store_denies',
  WRONGPASS: 'store_denies',
  LOADING: 'store_busy',
  BUSY: 'store_busy',
  UNKILLABLE: 'store_busy',
  TRYAGAIN: 'store_busy',
  MASTERDOWN: 'store_busy',
  CLUSTERDOWN: 'store_busy',
}
/** Errors of a script whose user lacks a permission, in the versions of Redis and Valkey. */
const DENIED_IN_SCRIPT = /^ERR (The user executing the script can't|ACL failure in script)/
const TOO_MANY_CLIENTS = /^ERR max number of clients/

/**
 * Returns why the store failed: it was unreachable, or it rejected the command. Null for any other error, which is a
 * bug in a program. Accepts errors of ioredis and BullMQ, and a `RuncastError` made from one.
 */
export function storeFaultOf(error: unknown): StoreReason | null {
  if (error instanceof RuncastError) return error.reason ?? null
  if (!(error instanceof Error)) return null
  if (error.name === 'ReplyError') return reasonOfReply(error)
  // Errors of the socket: Node sets `syscall` on them.
  const isAway = 'syscall' in error || CANCELLED.has(error.name) || CONNECTION_LOST.test(error.message)
  return isAway ? 'store_unreachable' : null
}

/** Whether the server of a connection is no longer a master. A new connection may reach the current master. */
export function hasLostMaster(error: unknown): boolean {
  return storeFaultOf(error) === 'store_read_only' || (error instanceof Error && /^MASTERDOWN\b/.test(error.message))
}

/** The error to pass to a caller: `overloaded` with its reason if the store failed, otherwise the error itself. */
export function refusalOf(error: unknown): unknown {
  if (error instanceof RuncastError) return error
  const reason = storeFaultOf(error)
  return reason === null ? error : new RuncastError('overloaded', { message: STORE_REASONS[reason], reason })
}

/**
 * Awaits the reply of a command. Rejects with `overloaded` and its reason if Redis is unreachable or rejects the
 * command. Whether the command was applied is then unknown, and it may be sent again. Any other error is passed on
 * unchanged.
 */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw refusalOf(error)
  }
}

function reasonOfReply(error: Error): StoreReason | null {
  const word = error.message.split(' ', 1)[0] ?? ''
  // A transaction reports the reason of its first command that was rejected.
  if (word === 'EXECABORT' && 'previousErrors' in error && Array.isArray(error.previousErrors)) return storeFaultOf(error.previousErrors[0])
  if (DENIED_IN_SCRIPT.test(error.message)) return 'store_denies'
  if (TOO_MANY_CLIENTS.test(error.message)) return 'store_unreachable'
  return Object.hasOwn(SERVER_REASONS, word) ? (SERVER_REASONS[word] ?? null) : null
}
