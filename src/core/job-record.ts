import type { Status } from '../protocol/status.js'
import type { Entry } from './entry.js'

/** What is known of a job beside its kind: its record and the latest entry per key, as the Redis hash holds them. */
export interface JobRecord {
  readonly id: string
  readonly owner: string
  /** Which configured solver computes it; null where its kind's own does. */
  readonly solver: string | null
  /** The job that it is a part of; null for one that somebody submitted. */
  readonly parent: string | null
  /** The normalised input as JSON, so that a lost queue can be filled again. */
  readonly input: string
  status: Status
  round: number
  attempt: number
  /** For how long, when this was read, the processor that computes the job had given no sign of life; null where none computes it. */
  sinceHeartbeatMs: number | null
  /** Whether that was too long. */
  stale: boolean
  /** How long a round may take from its first start. */
  readonly timeoutMs: number
  /** ISO 8601; null while it has not happened in this round. */
  readonly created_at: string
  started_at: string | null
  finished_at: string | null
  /** Identity of the stored history that the newest entry belongs to. */
  generation: string
  /** Identity of the history as clients see it: another one where the store may lack the last entries that clients know. */
  epoch: string
  seq: number
  /** Fencing token of the last worker that wrote in this round, 0 before; as it was when the state was read, since entries do not carry it. */
  token: number
  /** Number of that worker's last write, 0 before; read as `token` is. */
  n: number
  readonly latest: Map<string, Entry>
}
