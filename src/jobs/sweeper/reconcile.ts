import { fencingWriter, type Writer } from '../../core/entry.js'
import { type JobState, messageOf } from '../../core/job-state.js'
import { isComputedKind, KINDS } from '../../core/kinds.js'
import { lostWorker } from '../../core/lost-worker.js'
import { storeClock } from '../../core/store-clock.js'
import { isTimedOut, timeoutFailure } from '../../core/timeout.js'
import { isComputed, isFinal } from '../../protocol/status.js'
import { type Outcome, type QueueState, queuedRoundOf } from '../../queue/queue.js'
import type { QueuedRound } from '../../storage/fair-scheduler.js'
import type { JobRound } from '../../storage/job-store.js'
import { type Finalizer, finalize, tellOwner } from '../finalize.js'
import { cancelChildren, endPart } from './cancel-children.js'
import type { JobCounts } from './job-counts.js'
import type { LostLockTracker } from './lost-lock-tracker.js'
import { scheduleStep } from './schedule-step.js'

export interface ReconcileLimits {
  /** How long a running job may take to obey a cancel before it is ended by force. */
  readonly cancelGraceMs: number
  /** A worker that gives no sign of life for so long has lost its lock. */
  readonly lockMs: number
  /** How long a job that only waits for its turn is not looked at. */
  readonly heldMs: number
  /** Whether a worker without a lock, or without a sign of life, is lost: Redis may have been away, or have refused what it wrote. */
  readonly mayJudge?: () => boolean
}

export interface ReconcileOptions extends ReconcileLimits {
  readonly source: 'sweeper' | 'queue'
  readonly lostLocks: LostLockTracker
  readonly counts: JobCounts
}

/** Of `lockMs`: for how long a round is seen without a lock before it is lost. While any worker is there, the queue gives it back within two checks, each half of it. */
const LOST_SHARE = 1.5

/**
 * Sees to it that a round ends, whatever process died at whatever moment: submitted but not in the queue, ended in the queue but not told, cancelled but deaf,
 * held by a worker that is dead. All that it does is idempotent, and harmless where the job is well.
 */
export async function reconcile(parts: Finalizer, round: JobRound, care: ReconcileOptions): Promise<void> {
  const { broker, store, queue } = parts
  const { cancelGraceMs, lockMs, source, lostLocks: lockless, counts: census } = care
  const state = (await broker.read(round.id))?.state
  // Expired; or ahead of its job: the submit or the retry died before it was written.
  if (!state || state.round < round.round) return drop(parts, round)
  const ref = { ...queuedRoundOf(state), ...round }
  census.look(round, state)
  const locklessSince = lockless.take(round, state.token)
  const touch = (pauseMs = 0) => store.touch(round, storeClock.now() + pauseMs)
  // Its submit, its retry, or its end may have died before this; else this only keeps what the owner has.
  await tellOwner(parts, state, !isFinal(state.status))
  if (isFinal(state.status) || state.round > round.round) {
    const isGone = await queue.remove(ref)
    return isGone && (await isWoundDown(parts, state, round)) ? store.deactivate(round) : touch()
  }
  const end = async (outcome: Outcome, writer?: Writer) => {
    await finalize(parts, ref, outcome, source, writer)
    // Where it could not be taken out yet, those behind it get their turn all the same.
    await touch()
  }
  // One that has been told to end already is looked after like any other.
  if (state.parent !== null && state.status !== 'cancelling' && (await isOver(parts, state.parent))) {
    await endPart(parts, state.id)
    return touch()
  }
  const queued = await queue.state(ref)
  if (queued.at === 'ended' && isComputedKind(state.kind)) return end(queued.outcome)
  const isHeldOn = queued.at === 'active' && queued.isLocked
  if (isOverdue(state, cancelGraceMs)) return end({ status: 'cancelled', ...(isHeldOn && { forced: true }) })
  // Its worker, where it has one, ends it with the same grace. A cancel that was asked for goes before.
  if (state.status !== 'cancelling' && isTimedOut(state, storeClock.now(), isComputedKind(state.kind) ? cancelGraceMs : 0))
    return end({ status: 'failed', ...timeoutFailure(state) })
  if (!isComputedKind(state.kind) && state.status !== 'queued') {
    await scheduleStep(parts, state, 'look')
    return touch()
  }
  if (queued.at === 'missing') {
    await restore(parts, state, ref, source)
    return touch()
  }
  const mayBeLost = care.mayJudge?.() !== false && isComputed(state.status)
  if (mayBeLost && (state.sinceHeartbeatMs ?? 0) > lockMs) {
    const loss = await lossOf(parts, state, queued, { round, since: locklessSince, lockMs, lostLocks: lockless })
    if (loss !== null) return end(lost(state, loss), fencingWriter(state, 'round'))
  }
  if (queued.at !== 'held') return touch()
  census.leave(round)
  await touch(care.heldMs)
  // It may have been handed out meanwhile: from then on it is looked after like any other.
  if ((await queue.state(ref)).at !== 'held') await touch()
}

/** Why a round that gives no sign of life is lost for good; null where it is not, or not yet. `since`: it was seen without its lock. */
async function lossOf(
  parts: Finalizer,
  state: JobState,
  queued: QueueState,
  {
    round,
    since,
    lockMs,
    lostLocks: lockless,
  }: Pick<ReconcileOptions, 'lockMs' | 'lostLocks'> & { readonly round: JobRound; readonly since: number | null },
): Promise<string | null> {
  if (queued.at === 'active' && !queued.isLocked) {
    const now = performance.now()
    const from = since ?? now
    if (now - from >= lockMs * LOST_SHARE) return 'The worker was lost.'
    lockless.put(round, state.token, from)
  }
  if (queued.at === 'waiting') {
    const { attempts } = KINDS[state.kind]
    if (state.attempt >= attempts) return `The worker was lost in attempt ${attempts} of ${attempts}.`
    await admitLoss(parts, state)
  }
  return null
}

/** Of a job in steps, whether it has ended: a part that was submitted at that very moment has nobody else who ends it. */
async function isOver({ broker }: Finalizer, id: string): Promise<boolean> {
  const state = (await broker.read(id))?.state
  return !state || isFinal(state.status)
}

/** Whether nothing is left of what a job in steps was made of. A newer round has its checkpoint by now. */
async function isWoundDown(parts: Finalizer, state: JobState, { round }: JobRound): Promise<boolean> {
  if (isComputedKind(state.kind) || state.round > round) return true
  if (!(await cancelChildren(parts, state))) return false
  await parts.broker.drop(state.id, round)
  return true
}

/** Forgets a round that there is not, or not yet: one that was only late, and is there by now, is put in again. */
async function drop({ broker, store, queue }: Finalizer, round: JobRound): Promise<void> {
  await queue.remove(round)
  await store.deactivate(round)
  if ((await broker.read(round.id))?.state.round === round.round) await store.activate(round, storeClock.now())
}

/** The queue has nothing of a job that has not ended: one that never began is added again, one that began is lost. */
async function restore(parts: Finalizer, state: JobState, ref: QueuedRound, source: 'sweeper' | 'queue'): Promise<void> {
  if (state.status === 'queued') return parts.queue.add(ref)
  if (state.status === 'cancelling') return finalize(parts, ref, { status: 'cancelled' }, source)
  // Read again: it may have ended, been told and been removed between the two looks.
  const now = (await parts.broker.read(ref.id))?.state
  if (now?.status !== state.status || now.round !== state.round) return
  return finalize(parts, ref, lost(state, 'The queue has lost this job.'), source, fencingWriter(state, 'round'))
}

/** Its worker is lost and the queue waits for another one: the state says so. Refused where one has taken it meanwhile. */
async function admitLoss({ broker }: Finalizer, state: JobState): Promise<void> {
  if (state.status !== 'running') return
  await broker.publish(state.id, [lostWorker(state.kind, state.id)], fencingWriter(state, 'attempt'))
}

function lost({ status }: JobState, error: string): Outcome {
  if (status === 'cancelling') return { status: 'cancelled' }
  return { status: 'failed', code: 'worker_lost', error, log_tail: '' }
}

function isOverdue(state: JobState, graceMs: number): boolean {
  const entry = state.status === 'cancelling' ? state.latest.get('status') : undefined
  return entry !== undefined && storeClock.now() - Date.parse(String(messageOf(entry).timestamp)) > graceMs
}
