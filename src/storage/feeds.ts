/** A message of a user's channel: the job is new, or a new execution of it begins. */
export interface IndexChange {
  readonly owner: string
  /** Identity of the counter that `seq` belongs to. */
  readonly generation: string
  /** Position in the user's channel. Starts at 1 and is incremented by each index change. */
  readonly seq: number
  readonly id: string
}

/** A user's jobs at one moment, with the position of this snapshot in the channel. */
export interface ActiveIndex {
  readonly generation: string
  readonly seq: number
  /** Jobs that have not ended, newest first. A job that ended a moment ago may still be listed. */
  readonly active: readonly string[]
  /** The most recently ended jobs, latest first. At most `ACTIVE_INDEX_LIMITS.ended`. */
  readonly ended: readonly string[]
}

export interface FeedListener {
  /** Receives index changes, in order per user as long as nothing is lost. */
  changed(change: IndexChange): void
  /** Index changes of this user may have been missed: read the active-jobs index again. */
  gap(owner: string): void
}

/**
 * The active-jobs index of each user. Delivery is at most once and in order. `read` sees every change that was
 * published before the call, so a reader that combines both can prove that it knows every job. Each method rejects with
 * `overloaded` if Redis cannot be reached.
 */
export interface Feeds {
  /**
   * Adds a job to its owner's active jobs and publishes the change. A job that is already active is left unchanged,
   * unless a new execution begins (`again`). Resolves to whether a change was published. Refreshes the TTL of the
   * user's index in any case.
   */
  add(owner: string, id: string, again?: boolean): Promise<boolean>
  /** Moves a job that has ended from the active jobs to the ended ones. */
  remove(owner: string, id: string): Promise<void>
  listen(listener: FeedListener): void
  /** Resolves once the subscription is active: every index change from then on is delivered. */
  subscribe(owner: string): Promise<void>
  unsubscribe(owner: string): Promise<void>
  read(owner: string): Promise<ActiveIndex>
}

/** Maximum number of jobs of each state in an `ActiveIndex`. */
export const ACTIVE_INDEX_LIMITS = { active: 1000, ended: 20 } as const
