import type { JobRound } from './job-store.js'

/** A round as the workers get it: in the queue of those that can compute it. */
export interface QueueRef extends JobRound {
  readonly queue: string
}

/** A round at the fair scheduler, and whose it is. */
export interface QueuedRound extends QueueRef {
  readonly owner: string
  /** Takes none of its owner's places: it is a part of a job that has one. */
  readonly isFree: boolean
}

/** `waiting`: it has not been let in. `admitted`: it has, and holds its owner's place, if it takes one, until it leaves. */
export type SchedulerState = 'waiting' | 'admitted'

/**
 * Why a round is not taken. `hour`: its owner has submitted too many; `waiting`: too many of the owner's wait; `full`: too many of all users wait; `bytes`: the
 * owner's jobs take as much memory as they may.
 */
export type Reserved =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'bytes'; readonly bytes: number; readonly limit: number; readonly retryAfterMs: number }
  | { readonly ok: false; readonly reason: 'hour' | 'waiting' | 'full'; readonly retryAfterMs: number }

export interface SchedulerLimits {
  /** Most admitted rounds of one user, over all queues. */
  readonly maxActivePerUser: number
  /** Most new rounds of one user in an hour. */
  readonly maxPerHour: number
  readonly maxWaitingPerUser: number
  readonly maxWaiting: number
  /** Most memory that the jobs of one user take. */
  readonly maxBytesPerUser: number
}

/**
 * Where rounds wait until it is their turn, so that the queues of the workers are never long. Users take turns: of those who have a waiting round in a queue, and
 * a place left if it takes one, the one comes next who was let in longest ago, or never; within a user it goes by order of entry. At most one admitted round of a
 * queue has not been started: the window. Each member is one atomic act, for any number of callers, and rejects with `overloaded` where Redis cannot be reached.
 */
export interface FairScheduler {
  /**
   * Counts a round against its owner's hour, or says why not and when to ask again. For new rounds, before anything is written of them; the same round again is
   * counted once. What waits and what it takes of memory is counted as it is now: submits that are under way at the same moment may pass these limits by their number.
   * `isFree`: a part of a job that is counted; only its memory is looked at.
   */
  reserve(owner: string, round: JobRound, isFree?: boolean): Promise<Reserved>
  /** Lets a round wait. One that is here already stays what it is. */
  enter(round: QueuedRound): Promise<SchedulerState>
  /** Admits the next round of any queue; null where no window is free, or nobody has both a round and its place. Whoever gets it hands it to the workers. */
  next(): Promise<QueueRef | null>
  /** Frees the window. Answers whether the round was in it. */
  started(ref: QueueRef): Promise<boolean>
  /** Takes a round away, whatever it is here, with its place. Answers with its queue, or null where it was not here. */
  leave(round: JobRound): Promise<string | null>
  /** Null: it is not here. */
  state(round: JobRound): Promise<SchedulerState | null>
  /** The rounds that were admitted and have not been started. */
  prefetched(): Promise<readonly QueueRef[]>
}
