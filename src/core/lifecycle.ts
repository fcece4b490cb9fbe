import type { FailureCode } from '../protocol/codes.js'
import type { Status } from '../protocol/status.js'
import { secondsSinceStart } from './elapsed.js'
import type { JobEvent } from './entry.js'
import type { JobRecord } from './job-record.js'
import { storeClock } from './store-clock.js'
import { traceIdOf } from './traceparent.js'
import type { Turn } from './words.js'

/** Why an execution failed. The queue stores it as JSON. */
export interface Failure {
  readonly error: string
  readonly code: FailureCode
  /** The code to publish instead, if the kind has its own. Processes of earlier versions publish `code`. */
  readonly own_code?: string
  /** The last lines of the job's log. */
  readonly log_tail: string
}

/**
 * Attempts and seconds since the first start of an execution (0 if it never started), and the trace of its job, if it
 * has one.
 */
export interface RoundStats {
  readonly attempts: number
  readonly duration_s: number
  readonly trace_id?: string
}

export function statsOf(state: JobRecord): RoundStats {
  const { attempt: attempts, traceparent } = state
  const duration_s = secondsSinceStart(state, storeClock.now())
  return { attempts, duration_s, ...(traceparent !== undefined && { trace_id: traceIdOf(traceparent) }) }
}

/** Fields about the failed attempt and the next one. */
export interface RetryNotice {
  /** Attempts per execution. The field `attempt` of the message is the number of the next one. */
  readonly max_attempts: number
  /** Delay before the next attempt. */
  readonly delay_ms: number
  /** Error of the failed attempt. */
  readonly error: string
}

/** Field of a job that is queued and may not start yet. */
export type StartNotice = Pick<Turn, 'not_before'>

/** Builders of the lifecycle events of a job. Each throws `TypeError` for a message that its schema rejects. */
export interface Lifecycle {
  /** Last progress and statistics for a final message. */
  last(state: JobRecord): object
  status(id: string, to: Status, reason?: string, notice?: RetryNotice | StartNotice): JobEvent
  /** `result`: the return value of the processor, with `compute_time_s`. */
  completed(id: string, result: object, last: object): JobEvent
  failed(id: string, failure: Failure, last: object): JobEvent
  /** `forced`: the processor ignored the cancel and was ended by force. */
  cancelled(id: string, last: object, forced?: true): JobEvent
}
