import type { JobState } from '../core/job-state.js'
import { queueOf } from '../core/kind.js'
import type { FailureCode } from '../protocol/codes.js'
import type { QueuedRound, QueueRef } from '../storage/fair-scheduler.js'
import type { JobRound } from '../storage/job-store.js'

/** How a round ended, as the queue has committed it. */
export type Outcome =
  | { readonly status: 'completed'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly status: 'failed'; readonly code: FailureCode; readonly error: string; readonly log_tail: string }
  | { readonly status: 'cancelled' /** Its processor did not obey and was ended. */; readonly forced?: true }

/** How a try ended, for the queue to commit. `refused`: the job is not this worker's, or not to be run any more. */
export type Settled =
  | { readonly how: 'done'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly how: 'ended'; readonly outcome: Exclude<Outcome, { status: 'completed' }> }
  | { readonly how: 'retry'; readonly error: Error; readonly delayMs: number }
  | { readonly how: 'handed back' }
  | { readonly how: 'refused' }

/** Where a round is. `held`: it waits until it is its turn; `waiting`: for a worker; `active`: a worker has taken it, and is alive as long as it `isLocked`. */
export type QueueState =
  | { readonly at: 'held' | 'waiting' | 'missing' }
  | { readonly at: 'active'; readonly isLocked: boolean }
  | { readonly at: 'ended'; readonly outcome: Outcome }

/** The present round of a job, as the queue knows it. */
export function queuedRoundOf(state: JobState): QueuedRound {
  return { id: state.id, round: state.round, queue: queueOf(state), owner: state.owner, isFree: state.parent !== null }
}

/** A round as the workers get it. */
export interface Work extends QueueRef {
  readonly input: unknown
  /** Fencing tokens of this round begin above it. */
  readonly base: number
}

/**
 * A queue of work, fair between users: what is added waits until it is its turn, is then handed to the workers, and is done once at a time by some worker, again
 * if that worker dies.
 */
export interface Queue {
  /** Adding a round that is there already changes nothing, except that one which the workers' queue has lost gets into it again. */
  add(round: QueuedRound): Promise<void>
  /** A worker has taken a round: the next one of its queue may follow. May be said again. */
  started(ref: QueueRef): Promise<void>
  /**
   * Takes a round out; false where a worker holds it: its owner's place is free all the same. One that is not there is as good as taken out. A round of which
   * nothing else is known is taken from the queue that it was added to.
   */
  remove(round: QueueRef | JobRound): Promise<boolean>
  /** Hands out whatever may be, also what a process left that died in doing so. To be called now and then by anybody. */
  dispatch(): Promise<void>
  /** Tells the process that computes the round to stop. At most once; a worker also learns it from the answer to its next write. */
  cancelOnOwner(ref: QueueRef): Promise<void>
  state(ref: QueueRef): Promise<QueueState>
  close(): Promise<void>
}

/** Why a job does its next step: it begins; something has happened to it or to a part of it; nothing may have, but somebody looks; it has put something off. */
export type StepCause = 'first' | 'news' | 'look' | 'later'

/** What the workers take from, queue by queue in the order of `add`: the part of a `Queue` behind its gate. */
export interface Backlog {
  /** Adding a round that is there already changes nothing. */
  add(work: Work): Promise<void>
  /** False where a worker holds it. */
  remove(ref: QueueRef): Promise<boolean>
  cancelOnOwner(ref: QueueRef): Promise<void>
  /** Adds a step of a job that goes on in steps, after a while if need be. Steps may run side by side. Its `first` one is its place here, and of those that only look again one is enough. */
  step(ref: QueueRef, why: StepCause, delayMs?: number): Promise<void>
  /** Never `held`. */
  state(ref: QueueRef): Promise<QueueState>
  /** How many workers of a queue are connected. */
  workers(queue: string): Promise<number>
  close(): Promise<void>
}
