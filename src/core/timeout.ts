import Type from 'typebox'
import type { JobRecord } from './job-record.js'
import type { Failure } from './lifecycle.js'

/** Bounds of a job's time limit, in seconds. The maximum, a week, is the default of ACTIVE_TTL_MS. */
export const MIN_TIMEOUT_S = 1
export const MAX_TIMEOUT_S = 604_800

/** The time limit in a request; by default that of the kind. */
export const JobTimeout = Type.Optional(
  Type.Number({
    minimum: MIN_TIMEOUT_S,
    maximum: MAX_TIMEOUT_S,
    description: 'time limit in seconds from the first start, over all attempts; then the job fails with `timeout`; not part of the input',
  }),
)

export function isJobTimeout(seconds: number): boolean {
  return seconds >= MIN_TIMEOUT_S && seconds <= MAX_TIMEOUT_S
}

/**
 * Deadline of an execution in epoch ms: its first start plus the time limit, over all attempts. Null before the start.
 */
export function deadlineOf({ started_at, timeoutMs }: Pick<JobRecord, 'started_at' | 'timeoutMs'>): number | null {
  return started_at === null ? null : Date.parse(started_at) + timeoutMs
}

/** Whether the deadline has passed. `marginMs`: how long the sweeper waits for the worker to end the job itself. */
export function isTimedOut(state: Pick<JobRecord, 'started_at' | 'timeoutMs'>, now: number, marginMs = 0): boolean {
  const deadline = deadlineOf(state)
  return deadline !== null && now >= deadline + marginMs
}

/** The failure of an execution whose deadline has passed. */
export function timeoutFailure({ timeoutMs }: Pick<JobRecord, 'timeoutMs'>, log_tail = ''): Failure {
  return { code: 'timeout', error: `The job exceeded its time limit of ${timeoutMs / 1000} s.`, log_tail }
}
