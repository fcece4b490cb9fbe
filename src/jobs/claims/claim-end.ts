import type { JobEvent } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { storeClock } from '../../core/store-clock.js'
import { isTimedOut } from '../../core/timeout.js'
import type { ClaimEnd } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import type { Claim, Claims } from '../../queue/claims.js'
import type { Settled } from '../../queue/queue.js'
import { again, attemptNow, cancelled, failed, faultOfResult, handBack, timedOut } from '../attempt.js'
import type { AttemptTally } from '../attempt-tally.js'
import { type Finalizer, finalize } from '../finalize.js'

/** What an end comes to: what is written of it, and what the queue commits. */
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
 * What becomes of a job whose worker says that it has ended so. A result stands whatever happened meanwhile; anything else of a job that is cancelled, or out
 * of time, is the end of that. Throws `invalid` for a result that no message can carry, and for a cancel that nobody has asked for.
 */
export function conclusionOf(end: ClaimEnd, { state, logTail, elapsedSeconds }: Circumstances): Conclusion {
  if (end.type === 'completed') {
    const { type: _type, ...result } = end
    const fault = faultOfResult(state, result, elapsedSeconds)
    if (fault !== null) throw new RuncastError('invalid', fault)
    return { settled: { how: 'done', result, compute_time_s: elapsedSeconds } }
  }
  if (state.status === 'cancelling') return { settled: cancelled() }
  if (isTimedOut(state, storeClock.now())) return { settled: timedOut(state, logTail) }
  switch (end.type) {
    case 'failed': {
      const retry = end.retry ? again(attemptNow(state), new Error(end.error)) : null
      return retry ?? { settled: failed(end.code, end.error, logTail) }
    }
    case 'released':
      return handBack(attemptNow(state))
    case 'cancelled':
      throw new RuncastError('invalid', 'Nobody has cancelled this job: released hands it back, failed ends it.')
  }
}

/** What an end of a claim needs. */
export interface ClaimEnder extends Finalizer {
  readonly claims: Claims
  /** Where attempts are counted. */
  readonly attempts?: AttemptTally
}

/** Commits an end to the queue, then ends the round where that was its end. False where the claim was lost before. */
export async function conclude(parts: ClaimEnder, claim: Claim, lock: string, settled: Settled): Promise<boolean> {
  if (!(await parts.claims.settle(claim, lock, settled))) return false
  parts.attempts?.settled(claim.queue, settled.how)
  await finishRound(parts, claim)
  return true
}

/** The final event, if the queue has committed the end of the round. May be done again. */
export async function finishRound(parts: Finalizer, { queue, id, round }: Claim): Promise<void> {
  const ref = { queue, id, round }
  const state = await parts.queue.state(ref)
  if (state.at === 'ended') await finalize(parts, ref, state.outcome, 'worker')
}
