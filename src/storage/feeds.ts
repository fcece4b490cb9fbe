/** What a user's channel says: this job of theirs is new, or begins another round. */
export interface IndexChange {
  readonly owner: string
  /** Identity of the count that `seq` belongs to. */
  readonly generation: string
  /** Position in the user's channel, from 1, +1 for each index change. */
  readonly seq: number
  readonly id: string
}

/** A user's jobs at one moment, and the position that this knowledge has. */
export interface ActiveIndex {
  readonly generation: string
  readonly seq: number
  /** Jobs that have not ended, newest first. One that ended a moment ago may still be among them. */
  readonly active: readonly string[]
  /** Jobs that have ended, the last one first; a few. */
  readonly ended: readonly string[]
}

export interface FeedListener {
  /** In order per user as long as nothing is lost. */
  changed(announcement: IndexChange): void
  /** Announcements to this user may have been missed: read the active-jobs index again. */
  gap(owner: string): void
}

/**
 * Which jobs a user has. Delivery is at most once and in order; together with `read`, which sees all that was announced before it was called, a
 * reader can prove that it knows of every job. Each member rejects with the refusal `overloaded` where Redis cannot be reached.
 */
export interface Feeds {
  /**
   * Puts a job among its owner's active ones and makes it known. One that is active already is left as it is, unless a new round begins (`again`).
   * Answers whether it was made known; keeps what the user has in any case.
   */
  add(owner: string, id: string, again?: boolean): Promise<boolean>
  /** Takes a job that has ended from the active ones. */
  remove(owner: string, id: string): Promise<void>
  listen(listener: FeedListener): void
  /** Resolves once the subscription stands: every index change from then on is delivered. */
  subscribe(owner: string): Promise<void>
  unsubscribe(owner: string): Promise<void>
  read(owner: string): Promise<ActiveIndex>
}

/** Most jobs that an active-jobs index names, of each sort. */
export const ACTIVE_INDEX_LIMITS = { active: 1000, ended: 20 } as const
