import type { JobState } from '../core/job-state.js'
import { queueOf } from '../core/kind.js'
import type { Failure } from '../core/lifecycle.js'
import { isOwned } from '../core/solver.js'
import type { QueuedRound, QueueRef } from '../storage/fair-scheduler.js'
import type { JobRound } from '../storage/job-store.js'

/**
 * How an execution ended, as committed by the queue. `forced`: the processor did not obey the cancel and was ended by
 * force.
 */
export type Outcome =
  | { readonly status: 'completed'; readonly result: unknown; readonly compute_time_s: number }
  | ({ readonly status: 'failed' } & Failure)
  | { readonly status: 'cancelled'; readonly forced?: true }

/**
 * How an attempt ended, for the queue to commit. `refused`: the job is not this worker's, or must not be run any more.
 */
export type Settled =
  | { readonly how: 'done'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly how: 'ended'; readonly outcome: Exclude<Outcome, { status: 'completed' }> }
  | { readonly how: 'retry'; readonly error: Error; readonly delayMs: number }
  | { readonly how: 'returned' }
  | { readonly how: 'refused' }

/**
 * Where an execution is. `held`: in the fair scheduler; `waiting`: for a worker; `active`: a worker has taken it, and
 * is alive as long as `isLocked`.
 */
export type QueueState =
  | { readonly at: 'held' | 'waiting' | 'missing' }
  | { readonly at: 'active'; readonly isLocked: boolean }
  | { readonly at: 'ended'; readonly outcome: Outcome }

/** The current execution of a job, as the queue knows it. */
export function queuedRoundOf(state: JobState): QueuedRound {
  const { id, round, owner, not_before, priority } = state
  return {
    ...{ id, round, owner, queue: queueOf(state), isFree: state.parent !== null || isOwned(state) },
    ...(priority !== undefined && { priority }),
    ...(not_before !== undefined && { notBefore: Date.parse(not_before) }),
  }
}

/** An execution with what a worker needs. */
export interface Work extends QueueRef {
  readonly input: unknown
  /** Fencing tokens of this execution are greater than this number. */
  readonly base: number
}

/**
 * A queue of work, fair between users. An execution that is added waits for its turn, a delayed one first for its time,
 * is then handed to the workers, and is run by one worker at a time. If that worker dies, it is run again.
 */
export interface Queue {
  /**
   * Adds an execution. An execution that is already there stays unchanged, except that it is added again to the
   * workers' queue if that has lost it.
   */
  add(round: QueuedRound): Promise<void>
  /** Reports that a worker has taken an execution, so that the next one of its queue may follow. Idempotent. */
  started(ref: QueueRef): Promise<void>
  /**
   * Removes an execution and frees its owner's slot. False if a worker holds the execution; the slot is freed all the
   * same. An execution that is not there counts as removed. For an execution without a known queue, the queue that it
   * was added to is used.
   */
  remove(round: QueueRef | JobRound): Promise<boolean>
  /**
   * Hands out all executions that may be admitted, including those left by a process that died while doing so. Any
   * process should call it from time to time.
   */
  dispatch(): Promise<void>
  /**
   * Asks the process that computes the execution to stop. Delivered at most once; a worker also learns it from the
   * result of its next write.
   */
  cancelOnOwner(ref: QueueRef): Promise<void>
  state(ref: QueueRef): Promise<QueueState>
  close(): Promise<void>
}

/**
 * Why the next step of a job runs: the job begins (`first`); something happened to it or to a child job (`news`); a
 * regular check (`look`); the job has deferred something (`later`).
 */
export type StepCause = 'first' | 'news' | 'look' | 'later'

/**
 * The queue that workers take from, per queue in the order of `add`: the part of a `Queue` behind the fair scheduler.
 */
export interface Backlog {
  /** Adds an execution. An execution that is already there stays unchanged. */
  add(work: Work): Promise<void>
  /** Removes an execution. False if a worker holds it. */
  remove(ref: QueueRef): Promise<boolean>
  cancelOnOwner(ref: QueueRef): Promise<void>
  /**
   * Adds a step of a job that runs in steps, after `delayMs`. Steps may run concurrently. The `first` step represents
   * the execution in the backlog. Of the steps `look`, and of `later`, one at a time is enough.
   */
  step(ref: QueueRef, why: StepCause, delayMs?: number): Promise<void>
  /** Never `held`. */
  state(ref: QueueRef): Promise<QueueState>
  /** Number of connected workers of a queue. */
  workers(queue: string): Promise<number>
  /** Executions of a queue that workers hold, and those that wait for a further attempt. */
  counts(queue: string): Promise<{ readonly running: number; readonly delayed: number }>
  close(): Promise<void>
}
