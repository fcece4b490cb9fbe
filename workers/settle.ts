import type { WriteRefusal } from '../src/broker/broker.js'
import type { Outcome } from '../src/jobs/queue.js'
import type { FailureCode } from '../src/protocol/codes.js'
import { type KindName, lifecycleOf } from '../src/protocol/kinds.js'
import { timeoutFailure } from '../src/protocol/timeout.js'
import { retryDelayMs } from './attempts.js'
import type { JobContext } from './job-context.js'
import { JobFailure, Stop } from './processor.js'

/** How a try ended, for the queue to commit. `refused`: the job is not this worker's, or not to be run any more. */
export type Settled =
  | { readonly how: 'done'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly how: 'ended'; readonly outcome: Exclude<Outcome, { status: 'completed' }> }
  | { readonly how: 'retry'; readonly error: Error; readonly delayMs: number }
  | { readonly how: 'handed back' }
  | { readonly how: 'refused' }

/** Which try of a round it is, as the hash counts them: failures and lost workers alike. */
export interface Attempt {
  readonly kind: KindName
  readonly id: string
  readonly number: number
  readonly of: number
  readonly timeoutMs: number
}

const MAX_ERROR_CHARS = 4000
const MAX_REASON_CHARS = 1000

/** What becomes of a job whose processor has not returned a result: `error` is the `Stop` that ended it, or what it threw. */
export async function settleFailure(attempt: Attempt, context: JobContext, error: unknown): Promise<Settled> {
  if (error instanceof Stop) return settleStop(attempt, context, error)
  if (error instanceof JobFailure) return failed(context, error.code, error.message)
  const fault = error instanceof Error ? error : new Error(String(error))
  if (attempt.number >= attempt.of) return failed(context, 'solver_error', fault.message)
  const delayMs = retryDelayMs(attempt.number)
  const reason = fault.message.slice(0, MAX_REASON_CHARS)
  const retry = { max_attempts: attempt.of, delay_ms: delayMs, error: reason }
  const event = { ...lifecycleOf(attempt.kind).status(attempt.id, 'retrying', reason, retry), clears: 'attempt' } as const
  return settleWrite(attempt, context, await context.write([event]), { how: 'retry', error: fault, delayMs })
}

async function settleStop(attempt: Attempt, context: JobContext, stop: Stop): Promise<Settled> {
  switch (stop.why) {
    case 'cancelled':
      return cancelled(context)
    case 'timeout':
      return { how: 'ended', outcome: { status: 'failed', ...timeoutFailure(attempt, context.logTail) } }
    case 'refused':
      return failed(context, 'solver_error', 'The job reported more, or faster, than a job may.')
    case 'stopping': {
      const handBack = lifecycleOf(attempt.kind).status(attempt.id, 'queued', 'the worker stops')
      return settleWrite(attempt, context, await context.write([handBack]), { how: 'handed back' })
    }
    case 'lost':
      return { how: 'refused' }
    case 'unreachable':
      return { how: 'retry', error: stop, delayMs: retryDelayMs(attempt.number) }
  }
}

/** What a transition of the runner comes to. Between start and end only a cancel can be in its way, or a Redis that cannot be reached. */
export function settleWrite(attempt: Attempt, context: JobContext, refusal: WriteRefusal | 'unreachable' | null, wanted: Settled): Settled {
  if (refusal === null) return wanted
  if (refusal === 'unreachable') return { how: 'retry', error: new Stop('unreachable'), delayMs: retryDelayMs(attempt.number) }
  return refusal === 'transition' ? cancelled(context) : { how: 'refused' }
}

function cancelled({ killed }: JobContext): Settled {
  return { how: 'ended', outcome: { status: 'cancelled', ...(killed.aborted && { forced: true }) } }
}

function failed({ logTail }: JobContext, code: FailureCode, message: string): Settled {
  return { how: 'ended', outcome: { status: 'failed', code, error: message.slice(0, MAX_ERROR_CHARS), log_tail: logTail } }
}
