import type { ProcessMessages, ProcessProgress } from '../protocol/process-messages.js'
import type { RunMessages } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import type { JobFailure } from './job-failed.js'

type FinalRunMessage = RunMessages['completed' | 'error' | 'cancelled']
type FinalOfProcess = ProcessMessages['process_completed' | 'process_failed' | 'process_cancelled']

/** A job as `GET /api/jobs/{id}` shows it. Times are ISO 8601 in UTC. */
export interface WireJob {
  readonly id: string
  /** Name of its kind. */
  readonly kind: string
  readonly owner: string
  /** The configured solver that computes it; null if its kind has none, or its built-in one computes it. */
  readonly solver: string | null
  readonly status: Status
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /** A worker computes it but has sent no heartbeat for too long. */
  readonly stale: boolean
  /** Null before its first report. */
  readonly progress: ProcessProgress | null
  readonly created_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  readonly seq: number
  readonly epoch: string
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly not_before?: string
  readonly priority?: number
  readonly parent_id?: string
  /** The final message in the dialect of the kind, or null while there is none. */
  readonly final: FinalRunMessage | FinalOfProcess | null
}

/** The current state of a job. `R`: its result. Times are ISO 8601 in UTC. */
export interface JobInfo<R = unknown>
  extends Pick<WireJob, 'id' | 'kind' | 'owner' | 'solver' | 'status' | 'attempt' | 'stale' | 'progress'> {
  /** What people call it; null if it has no title. */
  readonly title: string | null
  readonly tags: readonly string[]
  /** Null if it has none. */
  readonly metadata: Readonly<Record<string, unknown>> | null
  /** The parent of a child job, such as an optimization; null for any other. */
  readonly parentId: string | null
  /** It does not start before; null without a delay. */
  readonly notBefore: string | null
  /** Among the jobs of its owner, higher first. */
  readonly priority: number
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  /** The position of its last event: `events({ after: position })` continues from here. */
  readonly position: { readonly epoch: string; readonly seq: number }
  /** Null until it is `completed`. */
  readonly result: R | null
  /** Null unless it is `failed` or `cancelled`. */
  readonly failure: JobFailure | null
}

/** The only mapping from wire names to the names of this package. */
export function jobInfoOf<R>(job: WireJob): JobInfo<R> {
  const { id, kind, owner, solver, status, attempt, stale, progress, created_at, started_at, finished_at, epoch, seq, final } = job
  const { title = null, tags = [], metadata = null, parent_id: parentId = null, not_before: notBefore = null, priority = 0 } = job
  return {
    id,
    kind,
    owner,
    solver,
    status,
    attempt,
    stale,
    progress,
    ...{ title, tags, metadata, parentId, notBefore, priority },
    createdAt: created_at,
    startedAt: started_at,
    finishedAt: finished_at,
    position: { epoch, seq },
    result: resultOf(final) as R | null, // validated by the schema of its kind
    failure: failureOf(final),
  }
}

/** Fields of every final message in the run dialect, besides the result. */
const ENVELOPE = ['type', 'status', 'compute_time_s', 'percent', 'phase', 'elapsed_s', 'attempts', 'duration_s', 'seq', 'timestamp']

/**
 * In the run dialect the fields of a result are at the top level of its message, next to the envelope and the field for
 * the id.
 */
function resultOf(final: WireJob['final']): unknown {
  if (final?.type === 'process_completed') return final.result
  if (final?.type !== 'completed') return null
  return Object.fromEntries(Object.entries(final).filter(([name]) => !ENVELOPE.includes(name) && !name.endsWith('_id')))
}

function failureOf(final: WireJob['final']): JobFailure | null {
  switch (final?.type) {
    case 'error':
      return { code: final.code, message: final.error, logTail: final.solver_log_tail }
    case 'process_failed':
      return { code: final.code, message: final.error, logTail: final.log_tail ?? '' }
    case 'cancelled':
    case 'process_cancelled':
      return { code: 'cancelled', message: 'The job was cancelled.', logTail: '' }
    default:
      return null
  }
}
