import type { FailureCode } from '../protocol/codes.js'
import type { KindName } from '../protocol/kinds.js'

/** A job as the queue knows it: one round of one id. */
export interface QueueRef {
  readonly kind: KindName
  readonly id: string
  readonly round: number
}

/** How a round ended, as the queue has committed it. */
export type Outcome =
  | { readonly status: 'completed'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly status: 'failed'; readonly code: FailureCode; readonly error: string; readonly log_tail: string }
  | { readonly status: 'cancelled' /** Its processor did not obey and was ended. */; readonly forced?: true }

/** Where a round is. `active`: a worker has taken it, and is alive as long as it `isLocked`. */
export type QueueState =
  | { readonly at: 'held' | 'waiting' | 'missing' }
  | { readonly at: 'active'; readonly isLocked: boolean }
  | { readonly at: 'ended'; readonly outcome: Outcome }

/** A queue of work: what is added is done once at a time by some worker, again if that worker dies. */
export interface Queue {
  /** Adding a round that is there already changes nothing. */
  add(ref: QueueRef, input: unknown): Promise<void>
  /** Takes a round out; false where a worker holds it. One that is not there is as good as taken out. */
  remove(ref: QueueRef): Promise<boolean>
  /** Tells the process that computes the round to stop. At most once; a worker also learns it from the answer to its next write. */
  cancelOnOwner(ref: QueueRef): Promise<void>
  state(ref: QueueRef): Promise<QueueState>
  /** How many workers of a kind are connected. */
  workers(kind: KindName): Promise<number>
  close(): Promise<void>
}
