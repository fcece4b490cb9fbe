import type { JobRound } from './job-store.js'

/** An execution and its queue. The workers of the queue can compute it. */
export interface QueueRef extends JobRound {
  readonly queue: string
}

/** An execution in the fair scheduler, with its owner. */
export interface QueuedRound extends QueueRef {
  readonly owner: string
  /** True for a child job: it takes none of its owner's slots, because its parent already has one. */
  readonly isFree: boolean
  /** Among the executions of its owner, higher first. Default: 0. */
  readonly priority?: number
  /** It is not admitted before this time (epoch ms, by the clock of Redis). */
  readonly notBefore?: number
}

/**
 * `waiting`: not admitted yet, or delayed. `admitted`: admitted; the execution occupies its owner's slot, if it needs
 * one, until it leaves.
 */
export type SchedulerState = 'waiting' | 'admitted'

/**
 * Result of a reservation. Reasons for a rejection: `hour`: the owner has submitted too many executions in the last
 * hour; `waiting`: too many executions of the owner wait; `full`: too many executions of all users wait; `bytes`: the
 * jobs of the owner have reached their memory limit.
 */
export type Reserved =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'bytes'; readonly bytes: number; readonly limit: number; readonly retryAfterMs: number }
  | { readonly ok: false; readonly reason: 'hour' | 'waiting' | 'full'; readonly retryAfterMs: number }

export interface SchedulerLimits {
  /** Maximum number of admitted executions of one user, over all queues. */
  readonly maxActivePerUser: number
  /** Maximum number of new executions of one user in an hour. */
  readonly maxPerHour: number
  readonly maxWaitingPerUser: number
  readonly maxWaiting: number
  /** Maximum memory of the jobs of one user. */
  readonly maxBytesPerUser: number
}

/**
 * Executions wait here until they are admitted, so that the queues of the workers stay short. Scheduling is round-robin
 * between users. A user is eligible in a queue if they have a waiting execution there and a free slot, if the execution
 * needs one. The eligible user who was served least recently, or never, is next. Executions of one user are admitted by
 * priority, then in order of entry; a delayed one enters when its time has come. At most one admitted execution per
 * queue has not been started (the prefetch limit). Each method is one atomic operation, safe for any number of callers,
 * and rejects with `overloaded` if Redis cannot be reached.
 */
export interface FairScheduler {
  /**
   * Counts an execution against the hourly quota of its owner, or returns the reason for a rejection and when to retry.
   * Call it for new executions, before anything is written for them. The same execution is counted once, however often
   * it is reserved. Waiting executions and memory are counted at the time of the call, so concurrent submits may exceed
   * these two limits by their number. `isFree`: of a job that is counted, such as its child; only memory is checked.
   */
  reserve(owner: string, round: JobRound, isFree?: boolean): Promise<Reserved>
  /** Adds an execution to the waiting ones. An execution that is already here keeps its state. */
  enter(round: QueuedRound): Promise<SchedulerState>
  /**
   * Admits the next execution of any queue. Resolves to null if every queue has reached its prefetch limit, or no user
   * has both an execution and a slot for it. The caller passes the execution to the workers.
   */
  next(): Promise<QueueRef | null>
  /**
   * Marks the execution as started, so that the next one of its queue can be admitted. Resolves to whether it was still
   * marked as not started.
   */
  started(ref: QueueRef): Promise<boolean>
  /**
   * Removes an execution in any state and frees its slot. Resolves to its queue, or null if the execution was not here.
   */
  leave(round: JobRound): Promise<string | null>
  /** Null if the execution is not here. */
  state(round: JobRound): Promise<SchedulerState | null>
  /** When the next delayed execution may enter (epoch ms); null if none is delayed. */
  nextDue(): Promise<number | null>
  /** Executions that were admitted and have not been started. */
  prefetched(): Promise<readonly QueueRef[]>
}
