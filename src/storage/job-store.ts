import type { Entry, JobEvent } from '../core/entry.js'

export interface NewJob {
  readonly id: string
  readonly kind: string
  readonly owner: string
  readonly solver: string | null
  readonly parent: string | null
  /** The normalised input as JSON. */
  readonly input: string
  /** Digest of the normalised input: tells a repeated submit from another one with the same id. */
  readonly digest: string
  /** How long a round of it may take. */
  readonly timeoutMs: number
  /** Identity of the count that begins with this job. */
  readonly generation: string
  readonly created_at: string
}

/** `existing`: a job with this id was there before and nothing was written. */
export type Created = { readonly created: true } | { readonly created: false; readonly existing: { owner: string; digest: string } }

/** Jobs that have not ended, or those that have. */
export type Phase = 'active' | 'final'

export interface ListPage {
  /** Newest first. */
  readonly ids: readonly string[]
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string
}

export interface HistoryPage {
  /** Durable entries in order. */
  readonly entries: readonly Entry[]
  /** First seq that the log still holds; null where it is empty. */
  readonly oldestSeq: number | null
  /** Whether entries after the position asked for have been trimmed away. */
  readonly truncated: boolean
}

/** One round of one job: what the sweeper looks after. */
export interface JobRound {
  readonly id: string
  readonly round: number
}

/** A job that is made known: to the sweeper by its round, to its owner by its time of submit. */
export interface KnownJob extends JobRound {
  readonly kind: string
  readonly owner: string
  /** ISO 8601: its place in the owner's list. */
  readonly created_at: string
}

/** The records of jobs: who owns what, what was logged. */
export interface JobStore {
  /** Writes the job's hash with its first event, then makes it known like `reactivate`: in this order, since these lie in different hash slots. */
  create(job: NewJob, first: JobEvent): Promise<Created>
  /** Makes the present round of a job known: the sweeper's index, then the owner's. May be done again. */
  reactivate(job: KnownJob): Promise<void>
  /**
   * Of one kind, or of all together in one order. `active`: those in the user's index of active jobs, which one that has just ended may
   * still be in, in the order in which their rounds began; `final`: those that have ended.
   */
  list(owner: string, kind: string | null, limit: number, cursor?: string, phase?: Phase): Promise<ListPage>
  /** Durable entries after a seq, at most `limit`; null where there is no such job. */
  history(id: string, after: number, limit: number): Promise<HistoryPage | null>
  /** Takes a job that has expired out of its owner's index. */
  forget(owner: string, id: string): Promise<void>
}

/** Jobs that are parts of another one. */
export interface JobParts {
  /** Lets a part that has ended expire soon: the whole has what it needs of it. Any other job is left alone. */
  expireSoon(id: string): Promise<void>
}

/**
 * The sweeper's index: rounds that have not ended. Each round stands in it by itself, so that the end of one, however late it is told, never takes
 * the next one out.
 */
export interface ActiveRounds {
  /** Puts a round in, with the time of its last look (epoch ms); one that is there stays as it is. */
  activate(round: JobRound, now: number): Promise<void>
  /** Rounds that have not been retired and were last touched before `before` (epoch ms). */
  active(before: number, limit: number): Promise<readonly JobRound[]>
  /** Puts off the next look of the sweeper and refreshes the TTL of a job's keys. */
  touch(round: JobRound, now: number): Promise<void>
  /** Takes a round out: the last step of its end. */
  deactivate(round: JobRound): Promise<void>
}
