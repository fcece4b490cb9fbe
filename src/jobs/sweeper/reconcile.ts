import { fencingWriter } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { lostWorker } from '../../core/lost-worker.js'
import { storeClock } from '../../core/store-clock.js'
import { isFinal } from '../../protocol/status.js'
import { queuedRoundOf } from '../../queue/queue.js'
import type { JobRound } from '../../storage/job-store.js'
import { type Finalizer, finalize, updateActiveIndex } from '../finalize.js'
import type { FinalSource } from '../job-tally.js'
import { cancelChildren, endChild } from './cancel-children.js'
import { type Action, type DecisionLimits, decide, type End, type Observation, phaseOf } from './decide.js'
import type { JobCounts } from './job-counts.js'
import type { LostLockTracker } from './lost-lock-tracker.js'
import { scheduleStep } from './schedule-step.js'

export interface ReconcileLimits extends Omit<DecisionLimits, 'mayJudge'> {
  /** How long a job that waits for its turn is not checked, in ms. */
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
 * Makes sure that an execution ends, whichever process died at whatever moment: submitted but not in the queue, ended
 * in the queue but not published, cancelled without an answer, or held by a dead worker. `decide` has the rules; this
 * function reads the observation and carries out the action.
 */
export async function reconcile(ports: Finalizer, round: JobRound, options: ReconcileOptions): Promise<void> {
  const state = (await ports.broker.read(round.id))?.state
  const phase = phaseOf(round, state)
  if (!state || phase === 'unknown') return drop(ports, round)
  options.counts.observe(round, state)
  const unlockedSince = options.lostLocks.take(round, state.token)
  // Its submit, retry or end may have died before this. Otherwise this changes nothing.
  await updateActiveIndex(ports, state, !isFinal(state.status))
  if (phase === 'over') return cleanUp(ports, round, state)
  const elapsed = storeClock.elapsed()
  const seen: Observation = {
    state,
    isParentOver: state.parent !== null && (await isOver(ports, state.parent)),
    queued: await ports.queue.state(queuedRoundOf(state)),
    unlockedMs: elapsed - (unlockedSince ?? elapsed),
  }
  const action = decide(seen, { ...options, mayJudge: options.mayJudge?.() !== false }, storeClock.now())
  await execute(ports, seen, action, options)
}

/** Afterwards the execution is due for the next check, if it is still active. */
async function execute(ports: Finalizer, { state, unlockedMs }: Observation, action: Action, options: ReconcileOptions): Promise<void> {
  const { broker, queue, store } = ports
  switch (action.do) {
    case 'keep':
      break
    case 'wait for turn':
      return waitForTurn(ports, state, options)
    case 'add to queue':
      await queue.add(queuedRoundOf(state))
      break
    case 'schedule step':
      await scheduleStep(ports, state, 'look')
      break
    case 'suspect':
      options.lostLocks.put(state, state.token, storeClock.elapsed() - unlockedMs)
      break
    case 'next attempt':
      // Refused if another worker has taken it meanwhile.
      await broker.publish(state.id, [lostWorker(state.kind, state.id)], fencingWriter(state, 'attempt'))
      break
    case 'end child':
      await endChild(ports, state.id)
      break
    case 'end':
      await end(ports, state, action, options)
  }
  await store.touch(state, storeClock.now())
}

async function end(ports: Finalizer, state: JobState, { outcome, isFenced, isUnproven }: End, { source }: ReconcileOptions): Promise<void> {
  const now = isUnproven ? (await ports.broker.read(state.id))?.state : state
  if (now?.status !== state.status || now.round !== state.round) return
  await finalize(ports, queuedRoundOf(state), outcome, source, isFenced && fencingWriter(state, 'round'))
}

/**
 * The execution is not counted while it waits. It may have been handed out since the observation; from then on it is
 * checked like any other.
 */
async function waitForTurn({ queue, store }: Finalizer, state: JobState, { counts, heldMs }: ReconcileOptions): Promise<void> {
  counts.leave(state)
  await store.touch(state, storeClock.now() + heldMs)
  if ((await queue.state(queuedRoundOf(state))).at !== 'held') await store.touch(state, storeClock.now())
}

/** Removes an ended execution and its children from the queue, and then from the active executions. */
async function cleanUp(ports: Finalizer, round: JobRound, state: JobState): Promise<void> {
  const isGone = await ports.queue.remove({ ...queuedRoundOf(state), ...round })
  if (isGone && (await areChildrenGone(ports, state, round))) return ports.store.deactivate(round)
  await ports.store.touch(round, storeClock.now())
}

/** Whether all children of a job in steps are gone. A newer execution has its own checkpoint by now. */
async function areChildrenGone(ports: Finalizer, state: JobState, { round }: JobRound): Promise<boolean> {
  if (!state.kind.inSteps || state.round > round) return true
  if (!(await cancelChildren(ports, state))) return false
  await ports.broker.drop(state.id, round)
  return true
}

/** Whether the parent of a child job has ended. No other process ends a child that was submitted at that moment. */
async function isOver({ broker }: Finalizer, id: string): Promise<boolean> {
  const state = (await broker.read(id))?.state
  return !state || isFinal(state.status)
}

/**
 * Removes an execution that does not exist, or does not exist yet. If it was only late and exists by now, it is added
 * again.
 */
async function drop({ broker, store, queue }: Finalizer, round: JobRound): Promise<void> {
  await queue.remove(round)
  await store.deactivate(round)
  if ((await broker.read(round.id))?.state.round === round.round) await store.activate(round, storeClock.now())
}
