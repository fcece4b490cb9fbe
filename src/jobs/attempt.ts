import type { JobEvent } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { type Kind, opening } from '../core/kind.js'
import { lostWorker } from '../core/lost-worker.js'
import { attemptsOf } from '../core/solver.js'
import { storeClock } from '../core/store-clock.js'
import { isTimedOut, timeoutFailure } from '../core/timeout.js'
import { type AnyFailureCode, type FailureRetry, isFailureCode } from '../protocol/failure.js'
import type { Settled } from '../queue/queue.js'
import { textOfTooBig } from '../storage/broker.js'

/** One attempt of an execution, numbered as the job's hash counts: failures and lost workers both count. */
export interface Attempt {
  readonly kind: Kind
  readonly id: string
  readonly number: number
  readonly of: number
  readonly timeoutMs: number
}

/** The event that ends an attempt, and what the queue commits after it. */
export interface Transition {
  readonly event: JobEvent
  readonly settled: Settled
}

const FIRST_DELAY_MS = 1000
const MAX_ERROR_CHARS = 4000
const MAX_REASON_CHARS = 1000
/** Number of log lines that a failed job shows. */
export const LOG_TAIL_LINES = 10
const LOG_LINE_CHARS = 500

/**
 * The attempt that a start would be now. A `running` job has lost its worker, and that attempt counts. A job that was
 * returned to the queue continues in its own attempt.
 */
export function attemptAtStart({ kind, solver, id, status, attempt, timeoutMs }: JobState): Attempt {
  return { kind, id, number: status === 'running' ? attempt + 1 : attempt, of: attemptsOf({ kind, solver }), timeoutMs }
}

/** The current attempt, or the one that has just failed: then the state counts the next one already. */
export function attemptNow({ kind, solver, id, status, attempt, timeoutMs }: JobState): Attempt {
  return { kind, id, number: status === 'retrying' ? attempt - 1 : attempt, of: attemptsOf({ kind, solver }), timeoutMs }
}

/** The events of a start. For a `running` job they are those of the next attempt. */
export function startEvents({ kind, id }: Attempt): JobEvent[] {
  return [{ ...lostWorker(kind, id), optional: true }, kind.events.status(id, 'running')]
}

/**
 * Ends an execution without its processor if it has no attempt or no time left. The queue counts neither: it hands out
 * a job again however often its workers are lost. A job in `cancelling` is left to its start, which is refused.
 */
export function overBeforeStart(attempt: Attempt, state: JobState): Settled | null {
  if (state.status === 'cancelling') return null
  if (isTimedOut(state, storeClock.now())) return timedOut(state, '')
  if (attempt.number <= attempt.of) return null
  return failed('worker_lost', `The worker was lost in attempt ${attempt.of} of ${attempt.of}.`, '')
}

/**
 * The last progress. A job that was returned to the queue continues in the same attempt, so its progress bar must not
 * fall. A new attempt begins at 0.
 */
export function lastProgress(state: JobState): object {
  return state.status === 'queued' ? state.kind.events.last(state) : {}
}

/**
 * Delay between this failed attempt and the next one, in ms: 1 s, 2 s, 4 s, … The queue waits exactly as long as the
 * event says.
 */
export function retryDelayMs(attempt: number): number {
  return FIRST_DELAY_MS * 2 ** (attempt - 1)
}

/** The attempt has failed and is retried. Null if it was the last one, or if no retry is wanted. */
export function again(attempt: Attempt, fault: Error, wanted: FailureRetry): Transition | null {
  if (wanted === false || attempt.number >= attempt.of) return null
  const delayMs = wanted === true ? retryDelayMs(attempt.number) : wanted.delayMs
  const reason = fault.message.slice(0, MAX_REASON_CHARS)
  const retry = { max_attempts: attempt.of, delay_ms: delayMs, error: reason }
  const event = opening('attempt', attempt.kind, attempt.kind.events.status(attempt.id, 'retrying', reason, retry))
  return { event, settled: { how: 'retry', error: fault, delayMs } }
}

/** The worker stops: the job is returned to the queue and continues elsewhere, in the same attempt. */
export function returnToQueue({ kind, id }: Attempt): Transition {
  return { event: kind.events.status(id, 'queued', 'the worker stops'), settled: { how: 'returned' } }
}

export function failed(code: AnyFailureCode, message: string, logTail: string): Settled {
  const codes = isFailureCode(code) ? { code } : { code: 'solver_error' as const, own_code: code }
  return { how: 'ended', outcome: { status: 'failed', ...codes, error: message.slice(0, MAX_ERROR_CHARS), log_tail: logTail } }
}

export function timedOut(round: Pick<JobState, 'timeoutMs'>, logTail: string): Settled {
  return { how: 'ended', outcome: { status: 'failed', ...timeoutFailure(round, logTail) } }
}

export function cancelled(forced = false): Settled {
  return { how: 'ended', outcome: { status: 'cancelled', ...(forced && { forced }) } }
}

/**
 * Why no `completed` event can carry this result; null if one can. The check comes before the commit, since a result
 * that cannot be published would leave a job that never ends.
 */
export function faultOfResult(
  { kind, id }: Pick<Attempt, 'kind' | 'id'>,
  result: object,
  compute_time_s: number,
  maxEventBytes = Number.POSITIVE_INFINITY,
): string | null {
  try {
    if (typeof result !== 'object' || result === null || Array.isArray(result)) throw new TypeError('it is not an object')
    const event = kind.events.completed(id, { ...result, compute_time_s }, {})
    const bytes = Buffer.byteLength(JSON.stringify(event.message))
    return bytes <= maxEventBytes ? null : `The result cannot be published: ${textOfTooBig('completed', bytes, maxEventBytes)}`
  } catch (error) {
    return `The result is not valid: ${error instanceof Error ? error.message : error}`
  }
}

/** The last ten lines, each cut if it is very long, as shown when a job fails. */
export function logTailOf(lines: readonly string[]): string[] {
  return lines.slice(-LOG_TAIL_LINES).map((line) => line.slice(0, LOG_LINE_CHARS))
}
