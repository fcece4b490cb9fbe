import { timestampOf } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { isTimedOut, timeoutFailure } from '../../core/timeout.js'
import { isComputed, isFinal } from '../../protocol/status.js'
import type { Outcome, QueueState } from '../../queue/queue.js'
import type { JobRound } from '../../storage/job-store.js'

/** Where a round stands in the life of its job. `unknown`: the job has expired, or the write that opens the round was not made yet. */
export type Phase = 'unknown' | 'active' | 'over'

/** What one look at an active round has seen. The state is read first: what the queue says is never older. */
export interface Observation {
  readonly state: JobState
  readonly queued: QueueState
  /** It is a child, and the job that it is a part of has ended. */
  readonly isParentOver: boolean
  /** For how long, in ms, every look has seen it with a worker that has no lock; 0 where the last look saw something else. */
  readonly unlockedMs: number
}

export interface DecisionLimits {
  /** How long a running job may take to obey a cancel before it is ended by force. */
  readonly cancelGraceMs: number
  /** A worker that gives no sign of life for so long has lost its lock. */
  readonly lockMs: number
  /** Whether a missing sign of life proves anything: Redis may have been away, or have refused what a worker wrote. */
  readonly mayJudge: boolean
}

/** What the sweeper does about an active round. Each is idempotent, and harmless where somebody else was faster. */
export type Action =
  /** It is well. */
  | { readonly do: 'keep' }
  /** It waits for its turn: seldom looked at. */
  | { readonly do: 'wait for turn' }
  /** The queue does not have it, and it never began. */
  | { readonly do: 'add to queue' }
  /** It goes on in steps, of which one may be lost. */
  | { readonly do: 'schedule step' }
  /** Its worker has no lock. One look is no proof. */
  | { readonly do: 'suspect' }
  /** Its worker is lost, the queue has it again: the state says so. */
  | { readonly do: 'next attempt' }
  /** Nobody else ends a child that was submitted at the very moment in which its parent ended. */
  | { readonly do: 'end child' }
  | End

export interface End {
  readonly do: 'end'
  readonly outcome: Outcome
  /** Its worker is given up: see `fencingWriter`. */
  readonly isFenced?: true
  /** Only if the state is still the same: the round may have ended and left the queue between the two reads. */
  readonly isUnproven?: true
}

/** Of `lockMs`: for how long a round is seen without a lock before it is lost. While any worker is there, the queue gives it back within two checks, each half of it. */
const LOST_SHARE = 1.5

export function phaseOf({ round }: JobRound, state: JobState | undefined): Phase {
  if (!state || state.round < round) return 'unknown'
  return isFinal(state.status) || state.round > round ? 'over' : 'active'
}

/**
 * The sweeper's decision about a round that has not ended, pure. The first rule that fits decides:
 *
 *   1  its parent has ended                                          → end child (one that is cancelled already goes on as below)
 *   2  the queue has an end of it                                    → end as the queue says
 *   3  cancelling for longer than the grace                          → end as cancelled; forced where a worker still holds it
 *   4  out of time, and nobody has cancelled it                      → end with `timeout`; a worker gets the grace to do so itself
 *   5  goes on in steps, and has begun                               → schedule step
 *   6  not in the queue        and queued                            → add to queue
 *                              and cancelling                        → end as cancelled
 *                              else                                  → end with `worker_lost`
 *   7  no heartbeat for `lockMs`, where that proves anything:
 *        taken, without a lock   for 1.5 `lockMs`                    → end with `worker_lost`
 *                                for less                            → suspect
 *        back in the queue       and that was its last attempt       → end with `worker_lost`
 *                                and running                         → next attempt
 *   8  held back by the fair scheduler                               → wait for turn
 *   9  else                                                          → keep
 *
 * A job that is lost while it is cancelling ends as cancelled. `now`: by the clock of Redis.
 */
export function decide({ state, queued, isParentOver, unlockedMs }: Observation, limits: DecisionLimits, now: number): Action {
  const isCancelling = state.status === 'cancelling'
  const isStepped = state.kind.inSteps
  if (isParentOver && !isCancelling) return { do: 'end child' }
  if (queued.at === 'ended' && !isStepped) return { do: 'end', outcome: queued.outcome }
  if (isCancelling && cancellingMs(state, now) > limits.cancelGraceMs) {
    const isHeld = queued.at === 'active' && queued.isLocked
    return { do: 'end', outcome: { status: 'cancelled', ...(isHeld && { forced: true }) } }
  }
  if (!isCancelling && isTimedOut(state, now, isStepped ? 0 : limits.cancelGraceMs))
    return { do: 'end', outcome: { status: 'failed', ...timeoutFailure(state) } }
  if (isStepped && state.status !== 'queued') return { do: 'schedule step' }
  if (queued.at === 'missing') return missing(state)
  const isSilent = isComputed(state.status) && (state.sinceHeartbeatMs ?? 0) > limits.lockMs
  const loss = isSilent && limits.mayJudge ? silent(state, queued, unlockedMs >= limits.lockMs * LOST_SHARE) : null
  return loss ?? { do: queued.at === 'held' ? 'wait for turn' : 'keep' }
}

/** The queue has nothing of a job that has not ended. */
function missing(state: JobState): Action {
  if (state.status === 'queued') return { do: 'add to queue' }
  if (state.status === 'cancelling') return { do: 'end', outcome: { status: 'cancelled' } }
  return { ...lost(state, 'The queue has lost this job.'), isUnproven: true }
}

/** Its worker gives no sign of life. Null where the queue has yet to prove that it is lost. */
function silent(state: JobState, queued: QueueState, isUnlockedForLong: boolean): Action | null {
  if (queued.at === 'active' && !queued.isLocked) return isUnlockedForLong ? lost(state, 'The worker was lost.') : { do: 'suspect' }
  if (queued.at === 'waiting') {
    const { attempts } = state.kind
    if (state.attempt >= attempts) return lost(state, `The worker was lost in attempt ${attempts} of ${attempts}.`)
    if (state.status === 'running') return { do: 'next attempt' }
  }
  return null
}

function lost({ status }: JobState, error: string): End {
  const outcome: Outcome =
    status === 'cancelling' ? { status: 'cancelled' } : { status: 'failed', code: 'worker_lost', error, log_tail: '' }
  return { do: 'end', outcome, isFenced: true }
}

/** Since when somebody has asked for the end. 0 where that is not known. */
function cancellingMs({ latest }: JobState, now: number): number {
  const asked = latest.get('status')
  return asked ? now - Date.parse(timestampOf(asked)) : 0
}
