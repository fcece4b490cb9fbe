import type { Status } from '../protocol/status.js'
import type { Entry } from './entry.js'
import type { JobWords, Turn } from './words.js'

/** A job without its kind and input: the record and the latest entry per key, as stored in the Redis hash. */
export interface JobRecord extends Turn {
  readonly id: string
  readonly owner: string
  /** The configured solver that computes it; null for a built-in one. */
  readonly solver: string | null
  /** Id of the parent job; null for a job that was submitted by itself. */
  readonly parent: string | null
  /** Title, tags and metadata. Absent if the job has none. */
  words?: JobWords
  /** W3C Trace Context of the submit; absent without one. */
  readonly traceparent?: string
  status: Status
  /** Number of the execution, from 1. A retry starts the next one. */
  round: number
  attempt: number
  /** ms since the last heartbeat of the worker, when the state was read; null if no worker computes the job. */
  sinceHeartbeatMs: number | null
  /** Whether `sinceHeartbeatMs` exceeds STALE_MS. */
  stale: boolean
  /** Time limit of an execution, from its first start. */
  readonly timeoutMs: number
  /** ISO 8601. `started_at` and `finished_at` are null until they happen in this execution. */
  readonly created_at: string
  started_at: string | null
  finished_at: string | null
  /** Identity of the stored history that the newest entry belongs to. */
  generation: string
  /** Identity of the history as clients see it. Changes if Redis may have lost entries that clients have seen. */
  epoch: string
  seq: number
  /**
   * Fencing token of the last worker that wrote in this execution; 0 without one. As of the read: entries do not carry
   * it.
   */
  token: number
  /** Number of that worker's last write; 0 without one. As of the read. */
  n: number
  readonly latest: Map<string, Entry>
}
