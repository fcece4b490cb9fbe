import { RuncastError, STORE_REASONS, type StoreReason } from '../protocol/codes.js'

/** What ioredis says where it gives a command up. It gives these errors no name and no code of their own. */
const GIVEN_UP =
  /^(Connection is closed\.|Command timed out|Socket timeout\. |connect ETIMEDOUT|Stream isn't writeable |All sentinels are unreachable)/
/** Names of errors for a command that was taken back with its connection. */
const TAKEN_BACK: ReadonlySet<string> = new Set(['AbortError', 'MaxRetriesPerRequestError', 'ClusterAllFailedError'])

/** The first word of a reply that refuses a command for what the server is, not for what the command says. */
const REFUSALS: Readonly<Record<string, StoreReason>> = {
  OOM: 'store_full',
  MISCONF: 'store_not_saving',
  NOREPLICAS: 'store_lacks_replicas',
  READONLY: 'store_read_only',
  // What a blocking command is answered when its server becomes a replica.
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
/** What a script is told where its user lacks a right, by the versions of Redis and Valkey. */
const DENIED_IN_SCRIPT = /^ERR (The user executing the script can't|ACL failure in script)/
const FULL_HOUSE = /^ERR max number of clients/

/**
 * Why the store could not do what it was asked: it was away, or it refused. Null for any other error: that is a fault of a program. Errors of ioredis and of
 * BullMQ, and a `RuncastError` that was made of one.
 */
export function storeFaultOf(error: unknown): StoreReason | null {
  if (error instanceof RuncastError) return error.reason ?? null
  if (!(error instanceof Error)) return null
  if (error.name === 'ReplyError') return refusalIn(error)
  // Of the socket, as Node tells it.
  const isAway = 'syscall' in error || TAKEN_BACK.has(error.name) || GIVEN_UP.test(error.message)
  return isAway ? 'store_unreachable' : null
}

/** Whether the server behind a connection is no master any more: another connection may reach the one that is. */
export function hasLostMaster(error: unknown): boolean {
  return storeFaultOf(error) === 'store_read_only' || (error instanceof Error && /^MASTERDOWN\b/.test(error.message))
}

/** The error for a caller: `overloaded` with its reason where the store is at fault, the error itself where a program is. */
export function refusalOf(error: unknown): unknown {
  if (error instanceof RuncastError) return error
  const reason = storeFaultOf(error)
  return reason === null ? error : new RuncastError('overloaded', { message: STORE_REASONS[reason], reason })
}

/**
 * A command's answer. Rejects with `overloaded` and its reason where Redis is away or refuses: done or not, it may be asked again. Any other error is passed on
 * as it is.
 */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw refusalOf(error)
  }
}

function refusalIn(error: Error): StoreReason | null {
  const word = error.message.split(' ', 1)[0] ?? ''
  // A transaction tells the reason of its first command that was refused.
  if (word === 'EXECABORT' && 'previousErrors' in error && Array.isArray(error.previousErrors)) return storeFaultOf(error.previousErrors[0])
  if (DENIED_IN_SCRIPT.test(error.message)) return 'store_denies'
  if (FULL_HOUSE.test(error.message)) return 'store_unreachable'
  return Object.hasOwn(REFUSALS, word) ? (REFUSALS[word] ?? null) : null
}
