import type { JobEvent } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { isOwned } from '../../core/solver.js'
import { storeClock } from '../../core/store-clock.js'
import { isTimedOut } from '../../core/timeout.js'
import type { ClaimEnd } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { retryOf } from '../../protocol/failure.js'
import type { Claim, Claims } from '../../queue/claims.js'
import type { Settled } from '../../queue/queue.js'
import { again, attemptNow, cancelled, failed, faultOfResult, returnToQueue, timedOut } from '../attempt.js'
import type { AttemptTally } from '../attempt-tally.js'
import { type Finalizer, finalize } from '../finalize.js'

/** The result of an end: the event to write, and what the queue commits. */
export interface Conclusion {
  readonly event?: JobEvent
  readonly settled: Settled
}

export interface Circumstances {
  readonly state: JobState
  readonly logTail: string
  readonly elapsedSeconds: number
}

/**
 * What happens to a job whose worker reports this end. A result always stands. Any other end of a cancelled job is a
 * cancel, and of a timed-out job a timeout. Throws `invalid` for a result that no event can carry, and for a cancel
 * that nobody requested.
 */
export function conclusionOf(end: ClaimEnd, { state, logTail, elapsedSeconds }: Circumstances): Conclusion {
  if (end.type === 'completed') {
    const { type: _type, ...fields } = end
    const result = Object(state.kind.claimedResult(fields)) as object // an object by its schema
    const fault = faultOfResult(state, result, elapsedSeconds)
    if (fault !== null) throw new RuncastError('invalid', fault)
    return { settled: { how: 'done', result, compute_time_s: elapsedSeconds } }
  }
  if (state.status === 'cancelling') return { settled: cancelled() }
  if (isTimedOut(state, storeClock.now())) return { settled: timedOut(state, logTail) }
  switch (end.type) {
    case 'failed': {
      const retry = again(attemptNow(state), new Error(end.error), retryOf(end))
      return retry ?? { settled: failed(end.code, end.error, logTail) }
    }
    case 'released':
      if (isOwned(state))
        throw new RuncastError('invalid', 'No other worker gets the job of an owner: send failed or completed to end it, or cancel it.')
      return returnToQueue(attemptNow(state))
    case 'cancelled':
      throw new RuncastError('invalid', 'This job was not cancelled: send released to return it to the queue, or failed to end it.')
  }
}

/** Ports for the end of a lease. */
export interface ClaimEnder extends Finalizer {
  readonly claims: Claims
  /** Counters of attempts. */
  readonly attempts?: AttemptTally
}

/** Commits an end to the queue, then finalizes the execution if it has ended. False if the lease was lost before. */
export async function conclude(ports: ClaimEnder, claim: Claim, lock: string, settled: Settled): Promise<boolean> {
  if (!(await ports.claims.settle(claim, lock, settled))) return false
  ports.attempts?.settled(claim.queue, settled.how)
  await finishRound(ports, claim)
  return true
}

/** Publishes the final event if the queue has committed the end of the execution. May be repeated. */
export async function finishRound(ports: Finalizer, { queue, id, round }: Claim): Promise<void> {
  const ref = { queue, id, round }
  const state = await ports.queue.state(ref)
  if (state.at === 'ended') await finalize(ports, ref, state.outcome, 'worker')
}
