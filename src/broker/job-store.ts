import type { Entry, JobEvent } from '../protocol/entry.js'
import type { KindName } from '../protocol/kinds.js'

export interface NewJob {
  readonly id: string
  readonly kind: KindName
  readonly owner: string
  /** The normalised input as JSON. */
  readonly input: string
  /** Digest of the normalised input: tells a repeated submit from another one with the same id. */
  readonly digest: string
  /** Identity of the count that begins with this job. */
  readonly generation: string
  readonly created_at: string
}

/** `existing`: a job with this id was there before and nothing was written. */
export type Created = { readonly created: true } | { readonly created: false; readonly existing: { owner: string; digest: string } }

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

/** The records of jobs: who owns what, which are active, what was logged. */
export interface JobStore {
  /** Writes the job's hash with its first event, then the sweeper's index, then the owner's: in this order, since they lie in different hash slots. */
  create(job: NewJob, first: JobEvent): Promise<Created>
  list(owner: string, kind: KindName, limit: number, cursor?: string): Promise<ListPage>
  /** Durable entries after a seq, at most `limit`; null where there is no such job. */
  history(id: string, after: number, limit: number): Promise<HistoryPage | null>
  /** Jobs that have not been retired and were last touched before `before` (epoch ms). */
  active(before: number, limit: number): Promise<readonly string[]>
  /** Puts off the next look of the sweeper and refreshes the TTL of a job's keys. */
  touch(id: string, now: number): Promise<void>
  /** Takes a job out of the sweeper's index: the last step of its end. */
  retire(id: string): Promise<void>
  /** Takes a job that has expired out of its owner's index. */
  forget(owner: string, kind: KindName, id: string): Promise<void>
}
