import type { FailureCode } from '../protocol/codes.js'
import type { Status } from '../protocol/status.js'
import { secondsSinceStart } from './elapsed.js'
import type { JobEvent } from './entry.js'
import type { JobRecord } from './job-record.js'
import { storeClock } from './store-clock.js'

/** Why a round failed, as the queue keeps it. */
export interface Failure {
  readonly error: string
  readonly code: FailureCode
  /** The last lines of the job's log. */
  readonly log_tail: string
}

/** What a round took, when it ends now: tries, and seconds since its first start (0 where it never began). */
export interface RoundStats {
  readonly attempts: number
  readonly duration_s: number
}

export function statsOf(state: JobRecord): RoundStats {
  return { attempts: state.attempt, duration_s: secondsSinceStart(state, storeClock.now()) }
}

/** What is said of an attempt that failed, and of the next one. */
export interface RetryNotice {
  /** How many attempts a round has; the message's own `attempt` is the number of the next one. */
  readonly max_attempts: number
  /** How long the job waits before it. */
  readonly delay_ms: number
  /** What the attempt failed of. */
  readonly error: string
}

/** What can be said of every job, whatever its kind: the events of its life, in the messages of its kind. Each throws `TypeError` on what its schema refuses. */
export interface Lifecycle {
  /** What a final message says of the job's way up to it: the last progress that the state knows, and the effort. */
  last(state: JobRecord): object
  status(id: string, to: Status, reason?: string, retry?: RetryNotice): JobEvent
  /** `result` is what the processor has returned, with `compute_time_s`. */
  completed(id: string, result: object, last: object): JobEvent
  failed(id: string, failure: Failure, last: object): JobEvent
  /** `forced`: its processor did not obey and was ended. */
  cancelled(id: string, last: object, forced?: true): JobEvent
}
