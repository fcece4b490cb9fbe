import type { FailureCode } from './codes.js'
import type { JobEvent } from './entry.js'
import type { JobState } from './job-state.js'
import type { Status } from './status.js'

/** Why a round failed, as the queue keeps it. */
export interface Failure {
  readonly error: string
  readonly code: FailureCode
  /** The last lines of the job's log. */
  readonly log_tail: string
}

/** What a round took, when it ends now: tries, and seconds since its first start (0 where it never began). */
export interface Effort {
  readonly attempts: number
  readonly duration_s: number
}

export function effortOf({ attempt, started_at }: JobState): Effort {
  const seconds = started_at === null ? 0 : (Date.now() - Date.parse(started_at)) / 1000
  return { attempts: attempt, duration_s: Math.max(0, Math.round(seconds * 100) / 100) }
}

/** What can be said of every job, whatever its kind: the events of its life, in the messages of its kind. Each throws `TypeError` on what its schema refuses. */
export interface Lifecycle {
  /** What a final message says of the job's way up to it: the last progress that the state knows, and the effort. */
  last(state: JobState): object
  status(id: string, to: Status, reason?: string): JobEvent
  /** `result` is what the processor has returned, with `compute_time_s`. */
  completed(id: string, result: object, last: object): JobEvent
  failed(id: string, failure: Failure, last: object): JobEvent
  cancelled(id: string, last: object): JobEvent
}
