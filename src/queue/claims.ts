import type { EtaState } from '../core/eta.js'
import type { ClaimAnswer } from '../protocol/claim-messages.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import type { Settled } from './queue.js'

/** An execution claimed from the workers' queue. `token` identifies the claim, which lasts until its lock expires. */
export interface Claim extends QueueRef {
  /** Fencing token: incremented each time the queue hands out the execution. */
  readonly token: number
}

/** An execution that has just been claimed. */
export interface ClaimedRound extends Claim {
  readonly input: unknown
  /** Proves to the queue which claim has the execution. It never leaves the hubs. */
  readonly lock: string
}

/** State of a claim between its posts, so that any hub can handle the next post. */
export interface ClaimRecord {
  /** Subject of the token that made the claim. */
  readonly by: string
  readonly lock: string
  /** Epoch ms. */
  readonly startedAt: number
  /** Number of the last post. */
  readonly n: number
  /** Answer to that post. Absent for a final post that has not been committed. */
  readonly answer?: ClaimAnswer
  readonly logTail: readonly string[]
  /** What is known of its speed. Absent before its first progress. */
  readonly eta?: EtaState
}

/** An execution that a worker over HTTP holds. */
export interface HeldClaim extends QueueRef {
  /** How long its lock still holds. */
  readonly leftMs: number
}

/**
 * How often, in the lifetime of a lock, to check for expired locks. More often than a worker does, because a worker
 * over HTTP may ask late.
 */
export const CHECKS_PER_LOCK = 4

/**
 * Access to the workers' queue for workers outside this project's processes: claim an execution, keep its lock by
 * renewing it, and settle it. All state is in Redis, so each operation may run in another process. Rejects with
 * `overloaded` if Redis cannot be reached.
 */
export interface Claims {
  /** The next execution of a queue that waits for a worker; null if there is none. */
  claim(queue: string): Promise<ClaimedRound | null>
  /** Renews the lock of the execution. False if the execution is lost. */
  renew(claim: Claim, lock: string): Promise<boolean>
  /**
   * Commits the outcome of the attempt. False if the claim was lost before. Subscribers see the end of the execution
   * only later.
   */
  settle(claim: Claim, lock: string, settled: Settled): Promise<boolean>
  /** Null if there is no record, or if the claim ended long ago. */
  read(claim: Claim): Promise<ClaimRecord | null>
  /**
   * Stores the record for the lifetime of the lock plus some time, so that the last post may be repeated. False if the
   * record of a later post exists, or the one of this post with its answer; that record remains.
   */
  write(claim: Claim, record: ClaimRecord): Promise<boolean>
  /**
   * Returns executions with expired locks to the queue. Call it `CHECKS_PER_LOCK` times per lifetime of a lock, as long
   * as any worker would claim them.
   */
  recover(queue: string): Promise<void>
  /** Claimed executions, of the newest `limit` that workers of the queue hold. */
  held(queue: string, limit: number): Promise<readonly HeldClaim[]>
  close(): Promise<void>
}

/** Rate of posts per claim, over all hubs. */
export interface PostCounter {
  /**
   * Counts a post. Resolves to the number of posts, including this one, in the second that began with the first of
   * them.
   */
  count(claim: Claim): Promise<number>
}
