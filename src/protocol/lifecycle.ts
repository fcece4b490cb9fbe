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

/** What can be said of every job, whatever its kind: the events of its life, in the messages of its kind. Each throws `TypeError` on what its schema refuses. */
export interface Lifecycle {
  /** The last progress that a state knows: what its final message shall carry. */
  last(state: JobState): object
  status(id: string, to: Status, reason?: string): JobEvent
  /** `result` is what the processor has returned, with `compute_time_s`. */
  completed(id: string, result: object, last: object): JobEvent
  failed(id: string, failure: Failure, last: object): JobEvent
  cancelled(id: string, last: object): JobEvent
}
