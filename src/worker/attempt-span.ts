import { timestampOf } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import { jobSpan, type SpanEnd, type SpanStart } from '../core/tracing.js'
import type { Attempt } from '../jobs/attempt.js'
import type { Settled } from '../queue/queue.js'
import { JobFailure, Stop } from './processor.js'

/**
 * The span of an attempt that starts now, as a child of the span of the submit. `runcast.wait_s`: seconds in the queue,
 * with the delay before a retry; absent after a lost worker.
 */
export function attemptSpan({ number }: Pick<Attempt, 'number'>, state: JobState): SpanStart {
  const status = state.latest.get('status')
  const hasWaited = status !== undefined && (state.status === 'queued' || state.status === 'retrying')
  return {
    ...jobSpan('process', state, {
      'runcast.execution': state.round,
      'runcast.attempt': number,
      ...(hasWaited && { 'runcast.wait_s': Math.max(0, storeClock.now() - Date.parse(timestampOf(status))) / 1000 }),
    }),
    parent: state.traceparent ?? null,
  }
}

/** `runcast.outcome`: how an attempt ended. One that failed has an error code, also if another one follows. */
export function endOfAttempt(settled: Settled): SpanEnd {
  const { outcome, error } = outcomeOf(settled)
  return { attributes: { 'runcast.outcome': outcome }, error }
}

function outcomeOf(settled: Settled): { readonly outcome: string; readonly error?: string } {
  switch (settled.how) {
    case 'done':
      return { outcome: 'completed' }
    case 'ended': {
      const { outcome } = settled
      return { outcome: outcome.status, ...(outcome.status === 'failed' && { error: outcome.code }) }
    }
    case 'retry':
      return { outcome: 'retrying', error: codeOf(settled.error) }
    case 'returned':
      return { outcome: 'returned' }
    case 'refused':
      return { outcome: 'refused' }
  }
}

function codeOf(error: Error): string {
  if (error instanceof JobFailure) return error.code
  return error instanceof Stop ? error.why : 'solver_error'
}
