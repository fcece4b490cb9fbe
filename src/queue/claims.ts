import type { ClaimAnswer } from '../protocol/claim-messages.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import type { Settled } from './queue.js'

/** A round that was taken from the workers' queue: by this token, until its lock runs out. */
export interface Claim extends QueueRef {
  /** Fencing token: rises each time that the queue hands the round out. */
  readonly token: number
}

/** A round that has just been taken. */
export interface Taken extends Claim {
  readonly input: unknown
  /** Proves to the queue who has taken it; never leaves the hubs. */
  readonly lock: string
}

/** What is kept of a claim between its posts, for whatever hub gets the next one. */
export interface ClaimRecord {
  /** Whose token made it. */
  readonly by: string
  readonly lock: string
  /** Epoch ms. */
  readonly startedAt: number
  /** Number of the last post. */
  readonly n: number
  /** How that was answered; absent while it is an end that has not been committed. */
  readonly answer?: ClaimAnswer
  readonly logTail: readonly string[]
}

/** How often in the life of a lock those that have run out are looked for: more often than a worker does, since whoever claims may come late. */
export const CHECKS_PER_LOCK = 4

/**
 * The workers' queue by hand, for workers that are no process of ours: a round is taken, its lock kept for as long as somebody renews it, and settled. All of
 * it lies in Redis, so each act may be another process's. Rejects with `overloaded` where Redis cannot be reached.
 */
export interface Claims {
  /** The next round of a queue that waits for a worker; null where none does. */
  take(queue: string): Promise<Taken | null>
  /** Keeps the round for another lease; false where it is lost. */
  renew(claim: Claim, lock: string): Promise<boolean>
  /** Commits how the try ended; false where the claim was lost before. The round has not ended for those who watch: that comes after. */
  settle(claim: Claim, lock: string, settled: Settled): Promise<boolean>
  /** Null where there is none, or it ended long ago. */
  read(claim: Claim): Promise<ClaimRecord | null>
  /** Kept as long as the lease, and a while longer, so that a last post may be repeated. False where a later post is kept, or this one with its answer: that stays. */
  write(claim: Claim, record: ClaimRecord): Promise<boolean>
  /** Gives rounds whose lock has run out to other workers. To be called `CHECKS_PER_LOCK` times in the life of a lock, as long as anybody would take them. */
  recover(queue: string): Promise<void>
  close(): Promise<void>
}

/** How fast the worker of a claim posts, over all hubs. */
export interface PostCounter {
  /** Counts a post; how many there were, with this one, in the second that the first of them began. */
  count(claim: Claim): Promise<number>
}
