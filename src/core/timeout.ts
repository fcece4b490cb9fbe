import Type from 'typebox'
import type { JobRecord } from './job-record.js'
import type { Failure } from './lifecycle.js'

/** Bounds of a job's time, in seconds: a week is as long as Redis keeps a job that nobody looks after. */
export const MIN_TIMEOUT_S = 1
export const MAX_TIMEOUT_S = 604_800

/** What a request may say of the time that its job may take; without it the kind's own. */
export const JobTimeout = Type.Optional(
  Type.Number({
    minimum: MIN_TIMEOUT_S,
    maximum: MAX_TIMEOUT_S,
    description: 'seconds from the first start, over all attempts, after which the job fails with the code `timeout`; no part of the input',
  }),
)

export function isJobTimeout(seconds: number): boolean {
  return seconds >= MIN_TIMEOUT_S && seconds <= MAX_TIMEOUT_S
}

/** When the time of a round runs out, in epoch ms: counted from its first start, over all attempts. Null before that. */
export function deadlineOf({ started_at, timeoutMs }: Pick<JobRecord, 'started_at' | 'timeoutMs'>): number | null {
  return started_at === null ? null : Date.parse(started_at) + timeoutMs
}

/** Whether the time of a round has run out. `marginMs` on top is for whoever only looks after the worker that should have ended it. */
export function isTimedOut(state: Pick<JobRecord, 'started_at' | 'timeoutMs'>, now: number, marginMs = 0): boolean {
  const deadline = deadlineOf(state)
  return deadline !== null && now >= deadline + marginMs
}

/** The one way in which a round without time left has failed. */
export function timeoutFailure({ timeoutMs }: Pick<JobRecord, 'timeoutMs'>, log_tail = ''): Failure {
  return { code: 'timeout', error: `The job took longer than its ${timeoutMs / 1000} s.`, log_tail }
}
