import { type Attempt, again, cancelled, failed, retryDelayMs, returnToQueue, timedOut } from '../jobs/attempt.js'
import type { Settled } from '../queue/queue.js'
import type { WriteRejection } from '../storage/broker.js'
import type { JobContext } from './job-context.js'
import { JobFailure, Stop } from './processor.js'
import { asError } from './thrown.js'

/**
 * What happens to a job whose processor has not returned a result. `error` is the `Stop` that ended it, or what it
 * threw.
 */
export async function settleFailure(attempt: Attempt, context: JobContext, error: unknown): Promise<Settled> {
  if (error instanceof Stop) return settleStop(attempt, context, error)
  const fault = asError(error)
  const { code, retry: wanted } = fault instanceof JobFailure ? fault : { code: 'solver_error', retry: true }
  const retry = again(attempt, fault, wanted)
  if (!retry) return failed(code, fault.message, context.logTail)
  return settleWrite(attempt, context, await context.write([retry.event]), retry.settled)
}

async function settleStop(attempt: Attempt, context: JobContext, stop: Stop): Promise<Settled> {
  switch (stop.why) {
    case 'cancelled':
      return cancelled(context.killed.aborted)
    case 'timeout':
      return timedOut(attempt, context.logTail)
    case 'refused':
      // Another attempt would be refused as well.
      return failed('solver_error', (stop.cause ?? stop).message, context.logTail)
    case 'stopping': {
      const { event, settled } = returnToQueue(attempt)
      return settleWrite(attempt, context, await context.write([event]), settled)
    }
    case 'lost':
      return { how: 'refused' }
    case 'unreachable':
      return { how: 'retry', error: stop, delayMs: retryDelayMs(attempt.number) }
  }
}

/**
 * What follows from a transition that the runner has written. Between start and end only a cancel, or an unreachable
 * Redis, can prevent it.
 */
export function settleWrite(
  attempt: Attempt,
  context: JobContext,
  refusal: WriteRejection | 'unreachable' | null,
  wanted: Settled,
): Settled {
  if (refusal === null) return wanted
  if (refusal === 'unreachable') return { how: 'retry', error: new Stop('unreachable'), delayMs: retryDelayMs(attempt.number) }
  return refusal === 'transition' ? cancelled(context.killed.aborted) : { how: 'refused' }
}
