import type { Entry, JobEvent } from '../core/entry.js'
import type { StoredWords, Turn } from '../core/words.js'
import type { Status } from '../protocol/status.js'

export interface NewJob extends Turn {
  readonly id: string
  readonly kind: string
  readonly owner: string
  readonly solver: string | null
  readonly parent: string | null
  /** Title, tags and metadata. */
  readonly words?: Partial<StoredWords>
  /** The normalised input as JSON. */
  readonly input: string
  /** Digest of the normalised input. Distinguishes a repeated submit from a different one with the same id. */
  readonly digest: string
  /** Timeout of an execution. */
  readonly timeoutMs: number
  /** Identity of the position counter that begins with this job. */
  readonly generation: string
  readonly created_at: string
  /** W3C Trace Context of the submit. */
  readonly traceparent?: string
}

/** `existing`: a job with this id already existed, and nothing was written. */
export type Created = { readonly created: true } | { readonly created: false; readonly existing: { owner: string; digest: string } }

/** `active`: jobs that have not ended. `final`: jobs that have ended. */
export type Phase = 'active' | 'final'

/** Selects jobs of a list. All that is given must hold. */
export interface ListFilter {
  readonly status?: Status
  readonly tag?: string
  /** Children of this job; null: jobs that are no children. */
  readonly parent?: string | null
  /** Submitted at this time or later, and at this time or earlier (epoch ms). */
  readonly since?: number
  readonly until?: number
  /** Beginning of the title, in any case. */
  readonly title?: string
}

export interface ListPage {
  /** Newest first. */
  readonly ids: readonly string[]
  /** Start of the next page. Absent on the last page. */
  readonly cursor?: string
}

export interface HistoryPage {
  /** Persisted entries in order. */
  readonly entries: readonly Entry[]
  /** First seq that the log still has, or null if the log is empty. */
  readonly oldestSeq: number | null
  /** Whether entries after the requested position have been trimmed from the log. */
  readonly truncated: boolean
}

/** One execution of one job. The sweeper reconciles executions. */
export interface JobRound {
  readonly id: string
  readonly round: number
}

/** A job to be indexed: for the sweeper by its execution, for its owner by its submit time. */
export interface KnownJob extends JobRound {
  readonly kind: string
  readonly owner: string
  /** ISO 8601. Determines the position in the owner's list. */
  readonly created_at: string
}

/** The records of jobs: owners, lists and logs. */
export interface JobStore {
  /**
   * Writes the hash of the job with its first event, then indexes the job as `reactivate` does. The order is fixed
   * because hash and indices lie in different hash slots.
   */
  create(job: NewJob, first: JobEvent): Promise<Created>
  /** Indexes the current execution of a job: first for the sweeper, then for the owner. Idempotent. */
  reactivate(job: KnownJob): Promise<void>
  /**
   * Lists jobs of one kind, or of all kinds merged in one order. `active`: jobs in the user's active-jobs index,
   * ordered by the start of their executions; a job that has just ended may still be listed. `final`: jobs that have
   * ended. With a filter, what is found may have changed since: the caller checks it.
   */
  list(owner: string, kind: string | null, limit: number, cursor?: string, phase?: Phase, filter?: ListFilter): Promise<ListPage>
  /**
   * Changes words of a job: each given field replaces the stored one, '' removes it. If this changes anything, every
   * subscriber is told to read the job again. Resolves to whether there is such a job of this owner: the id may have
   * passed to another one.
   */
  setWords(id: string, owner: string, words: Partial<StoredWords>): Promise<boolean>
  /** Measures a job, so that its memory counts for its owner. The sweeper does so regularly while it runs. */
  weigh(id: string): Promise<void>
  /** Persisted entries after a seq, at most `limit`. Null if there is no such job. */
  history(id: string, after: number, limit: number): Promise<HistoryPage | null>
  /** Removes an expired job from its owner's index. */
  forget(owner: string, id: string): Promise<void>
}

/** Storage of child jobs. */
export interface ChildJobs {
  /**
   * Shortens the TTL of a child job that has ended, because its parent has used its result. Any other job is left
   * unchanged.
   */
  expireSoon(id: string): Promise<void>
}

/**
 * The index of the sweeper: executions that have not ended. Each execution has its own member, so the late end of one
 * execution never removes the next one.
 */
export interface ActiveRounds {
  /**
   * Adds an execution. `now`: time of its last check by the sweeper (epoch ms). An execution that is already there
   * keeps its time.
   */
  activate(round: JobRound, now: number): Promise<void>
  /** Executions that are still in the index and were last checked before `before` (epoch ms). */
  active(before: number, limit: number): Promise<readonly JobRound[]>
  /** Postpones the next check of the sweeper and refreshes the TTL of the job's keys. */
  touch(round: JobRound, now: number): Promise<void>
  /** Removes an execution. This is the last step when an execution ends. Lists find the job by its end. */
  deactivate(round: JobRound): Promise<void>
}
