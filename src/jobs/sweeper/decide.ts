import { timestampOf } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { attemptsOf, isOwned } from '../../core/solver.js'
import { isTimedOut, timeoutFailure } from '../../core/timeout.js'
import { isComputed, isFinal } from '../../protocol/status.js'
import type { Outcome, QueueState } from '../../queue/queue.js'
import type { JobRound } from '../../storage/job-store.js'

/**
 * State of an execution. `unknown`: the job has expired, or the write that opens the execution has not been made yet.
 */
export type Phase = 'unknown' | 'active' | 'over'

/** One observation of an active execution. The state is read first, so the queue's answer is never older. */
export interface Observation {
  readonly state: JobState
  readonly queued: QueueState
  /** It is a child job, and its parent has ended. */
  readonly isParentOver: boolean
  /**
   * For how long, in ms, every check has seen it held by a worker without a lock; 0 if the last check saw something
   * else.
   */
  readonly unlockedMs: number
}

export interface DecisionLimits {
  /** How long a running job may take to obey a cancel before it is ended by force. */
  readonly cancelGraceMs: number
  /** A worker without a heartbeat for this long has lost its lock. */
  readonly lockMs: number
  /**
   * Whether a missing heartbeat proves anything: Redis may have been unreachable, or may have refused a worker's write.
   */
  readonly mayJudge: boolean
}

/**
 * What the sweeper does about an active execution. Each action is idempotent and harmless if another process was
 * faster.
 */
export type Action =
  /** Nothing to do. */
  | { readonly do: 'keep' }
  /** It waits for its turn in the fair scheduler and is checked rarely. */
  | { readonly do: 'wait for turn' }
  /** It never began, and the queue does not have it. */
  | { readonly do: 'add to queue' }
  /** It is a job in steps, and a step may be lost. */
  | { readonly do: 'schedule step' }
  /** Its worker has no lock. One check is no proof. */
  | { readonly do: 'suspect' }
  /** Its worker is lost and the queue has it again: the state must say so. */
  | { readonly do: 'next attempt' }
  /** A child that was submitted at the moment its parent ended: no other process ends it. */
  | { readonly do: 'end child' }
  | End

export interface End {
  readonly do: 'end'
  readonly outcome: Outcome
  /** Fences its worker: see `fencingWriter`. */
  readonly isFenced?: true
  /** Only if the state is unchanged: the execution may have ended and left the queue between the two reads. */
  readonly isUnproven?: true
}

/**
 * In units of `lockMs`: how long an execution must be seen without a lock before it is lost. If any worker is alive,
 * the queue returns it within two stalled checks, each half of `lockMs` apart.
 */
const LOST_SHARE = 1.5
/** In units of `lockMs`: how long a job waits for its owner, who submits it again if the first answer was lost. */
const UNCLAIMED_SHARE = 3

export function phaseOf({ round }: JobRound, state: JobState | undefined): Phase {
  if (!state || state.round < round) return 'unknown'
  return isFinal(state.status) || state.round > round ? 'over' : 'active'
}

/**
 * The sweeper's decision about an execution that has not ended. Pure. The first matching rule decides:
 *
 *     1  its parent has ended                                    → end child (a cancelled child continues below)
 *     2  the queue has an end of it                              → end as the queue says
 *     3  cancelling for longer than the grace period             → end as cancelled; forced if a worker still holds it
 *     4  timed out and not cancelled                             → end with `timeout`; a worker gets the grace period
 *                                                                  to do so itself
 *     5  is in steps and has begun                               → schedule step
 *     6  not in the queue        and queued                      → add to queue
 *                                and cancelling                  → end as cancelled
 *                                else                            → end with `worker_lost`
 *     7  no heartbeat for `lockMs`, where that proves anything:
 *          held without a lock   for 1.5 `lockMs`                → end with `worker_lost`
 *                                for less                        → suspect
 *          back in the queue     and that was its last attempt   → end with `worker_lost`
 *                                and running                     → next attempt
 *     8  queued for its owner for three times `lockMs`          → end with `worker_lost`
 *     9  held back by the fair scheduler, and not cancelling     → wait for turn
 *    10  else                                                    → keep
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
  if (!loss && limits.mayJudge && isUnclaimed(state, queued, now, limits.lockMs)) return lost(state, 'Its owner has not claimed it.')
  return loss ?? { do: queued.at === 'held' && !isCancelling ? 'wait for turn' : 'keep' }
}

/** The queue does not have a job that has not ended. */
function missing(state: JobState): Action {
  if (state.status === 'queued') return { do: 'add to queue' }
  if (state.status === 'cancelling') return { do: 'end', outcome: { status: 'cancelled' } }
  return { ...lost(state, 'The queue has lost this job.'), isUnproven: true }
}

/** Its worker sends no heartbeat. Null while the queue has not proved that the worker is lost. */
function silent(state: JobState, queued: QueueState, isUnlockedForLong: boolean): Action | null {
  if (queued.at === 'active' && !queued.isLocked) return isUnlockedForLong ? lost(state, 'The worker was lost.') : { do: 'suspect' }
  if (queued.at === 'waiting') {
    const attempts = attemptsOf(state)
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

/** Whether a job has waited too long for its owner, and nobody starts it. */
function isUnclaimed(state: JobState, { at }: QueueState, now: number, lockMs: number): boolean {
  return isOwned(state) && state.status === 'queued' && at !== 'active' && queuedMs(state, now) > lockMs * UNCLAIMED_SHARE
}

/** How long ago it was queued, in ms. 0 if unknown. */
function queuedMs({ latest }: JobState, now: number): number {
  const queued = latest.get('status')
  return queued ? now - Date.parse(timestampOf(queued)) : 0
}

/** How long ago the cancel was requested, in ms. 0 if unknown. */
function cancellingMs({ latest }: JobState, now: number): number {
  const asked = latest.get('status')
  return asked ? now - Date.parse(timestampOf(asked)) : 0
}
