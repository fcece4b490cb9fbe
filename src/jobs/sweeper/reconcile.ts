import { fencingWriter } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { lostWorker } from '../../core/lost-worker.js'
import { storeClock } from '../../core/store-clock.js'
import { isFinal } from '../../protocol/status.js'
import { queuedRoundOf } from '../../queue/queue.js'
import type { JobRound } from '../../storage/job-store.js'
import { type Finalizer, finalize, tellOwner } from '../finalize.js'
import type { FinalSource } from '../job-tally.js'
import { cancelChildren, endPart } from './cancel-children.js'
import { type Action, type DecisionLimits, decide, type End, type Observation, phaseOf } from './decide.js'
import type { JobCounts } from './job-counts.js'
import type { LostLockTracker } from './lost-lock-tracker.js'
import { scheduleStep } from './schedule-step.js'

export interface ReconcileLimits extends Omit<DecisionLimits, 'mayJudge'> {
  /** How long a job that only waits for its turn is not looked at. */
  readonly heldMs: number
  /** See `DecisionLimits`. */
  readonly mayJudge?: () => boolean
}

export interface ReconcileOptions extends ReconcileLimits {
  readonly source: Extract<FinalSource, 'sweeper' | 'queue'>
  readonly lostLocks: LostLockTracker
  readonly counts: JobCounts
}

/**
 * Sees to it that a round ends, whatever process died at whatever moment: submitted but not in the queue, ended in the queue but not published, cancelled
 * without an answer, held by a worker that is dead. `decide` has the rules; this reads what they need and carries them out.
 */
export async function reconcile(parts: Finalizer, round: JobRound, options: ReconcileOptions): Promise<void> {
  const state = (await parts.broker.read(round.id))?.state
  const phase = phaseOf(round, state)
  if (!state || phase === 'unknown') return drop(parts, round)
  options.counts.look(round, state)
  const unlockedSince = options.lostLocks.take(round, state.token)
  // Its submit, its retry, or its end may have died before this; else this only keeps what the owner has.
  await tellOwner(parts, state, !isFinal(state.status))
  if (phase === 'over') return cleanUp(parts, round, state)
  const elapsed = storeClock.elapsed()
  const seen: Observation = {
    state,
    isParentOver: state.parent !== null && (await isOver(parts, state.parent)),
    queued: await parts.queue.state(queuedRoundOf(state)),
    unlockedMs: elapsed - (unlockedSince ?? elapsed),
  }
  const action = decide(seen, { ...options, mayJudge: options.mayJudge?.() !== false }, storeClock.now())
  await carryOut(parts, seen, action, options)
}

/** Then the round is due again for the next look, where it is still among the active ones. */
async function carryOut(parts: Finalizer, { state, unlockedMs }: Observation, action: Action, options: ReconcileOptions): Promise<void> {
  const { broker, queue, store } = parts
  switch (action.do) {
    case 'keep':
      break
    case 'wait for turn':
      return waitForTurn(parts, state, options)
    case 'add to queue':
      await queue.add(queuedRoundOf(state))
      break
    case 'schedule step':
      await scheduleStep(parts, state, 'look')
      break
    case 'suspect':
      options.lostLocks.put(state, state.token, storeClock.elapsed() - unlockedMs)
      break
    case 'next attempt':
      // Refused where another worker has taken it meanwhile.
      await broker.publish(state.id, [lostWorker(state.kind, state.id)], fencingWriter(state, 'attempt'))
      break
    case 'end child':
      await endPart(parts, state.id)
      break
    case 'end':
      await end(parts, state, action, options)
  }
  await store.touch(state, storeClock.now())
}

async function end(parts: Finalizer, state: JobState, { outcome, isFenced, isUnproven }: End, { source }: ReconcileOptions): Promise<void> {
  const now = isUnproven ? (await parts.broker.read(state.id))?.state : state
  if (now?.status !== state.status || now.round !== state.round) return
  await finalize(parts, queuedRoundOf(state), outcome, source, isFenced && fencingWriter(state, 'round'))
}

/** Not counted meanwhile. It may have been handed out since the look: from then on it is looked at like any other. */
async function waitForTurn({ queue, store }: Finalizer, state: JobState, { counts, heldMs }: ReconcileOptions): Promise<void> {
  counts.leave(state)
  await store.touch(state, storeClock.now() + heldMs)
  if ((await queue.state(queuedRoundOf(state))).at !== 'held') await store.touch(state, storeClock.now())
}

/** Takes a round that has ended out of the queue, with the children that it had, and then out of the active rounds. */
async function cleanUp(parts: Finalizer, round: JobRound, state: JobState): Promise<void> {
  const isGone = await parts.queue.remove({ ...queuedRoundOf(state), ...round })
  if (isGone && (await isWoundDown(parts, state, round))) return parts.store.deactivate(round)
  await parts.store.touch(round, storeClock.now())
}

/** Whether nothing is left of what a job in steps was made of. A newer round has its checkpoint by now. */
async function isWoundDown(parts: Finalizer, state: JobState, { round }: JobRound): Promise<boolean> {
  if (!state.kind.inSteps || state.round > round) return true
  if (!(await cancelChildren(parts, state))) return false
  await parts.broker.drop(state.id, round)
  return true
}

/** Of a job in steps, whether it has ended: a child that was submitted at that very moment has nobody else who ends it. */
async function isOver({ broker }: Finalizer, id: string): Promise<boolean> {
  const state = (await broker.read(id))?.state
  return !state || isFinal(state.status)
}

/** Forgets a round that there is not, or not yet: one that was only late, and is there by now, is put in again. */
async function drop({ broker, store, queue }: Finalizer, round: JobRound): Promise<void> {
  await queue.remove(round)
  await store.deactivate(round)
  if ((await broker.read(round.id))?.state.round === round.round) await store.activate(round, storeClock.now())
}
