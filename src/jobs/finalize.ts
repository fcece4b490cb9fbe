import { controlWriter, type JobEvent, timestampOf, type Writer } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import { isFinal } from '../protocol/status.js'
import type { Backlog, Outcome, Queue } from '../queue/queue.js'
import type { Broker } from '../storage/broker.js'
import type { Checkpoints } from '../storage/checkpoints.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import type { Feeds } from '../storage/feeds.js'
import type { ActiveRounds, JobParts } from '../storage/job-store.js'
import type { Final, FinalSource, JobTally } from './job-tally.js'
import { scheduleParentStep, scheduleStep } from './sweeper/schedule-step.js'

export interface Finalizer {
  readonly broker: Broker & Checkpoints
  readonly store: ActiveRounds & JobParts
  readonly feeds: Feeds
  readonly queue: Queue
  readonly backlog: Pick<Backlog, 'step'>
  /** Told of each end that this process has written. */
  readonly onFinal?: (final: Final) => void
  /** Where it is counted what else this process does with jobs. */
  readonly tally?: JobTally
}

/**
 * Ends a round: writes its one final entry, then takes it from its owner's active jobs, tells the job that it is a part of, removes the queue's job, and takes it
 * out of the sweeper's index (one that goes on in steps by its last look). Idempotent, for any caller at any time after the queue has committed; another round is left alone. The order loses no result: until the entry
 * is written, the queue keeps the outcome. `writer`: of whoever gives a worker up; nothing is done where another one has begun.
 */
export async function finalize(
  parts: Finalizer,
  ref: QueueRef,
  outcome: Outcome,
  source: FinalSource,
  writer: Writer = controlWriter(ref.round),
): Promise<void> {
  const { broker, store, queue } = parts
  const state = (await broker.read(ref.id))?.state
  if (state?.round === ref.round && !isFinal(state.status)) {
    const written = await broker.publish(ref.id, finalEvents(state, outcome), writer)
    if (!written.ok && written.reason === 'too_big') {
      const error = `The result cannot be published: ${written.text}`
      return finalize(parts, ref, { status: 'failed', code: 'solver_error', error, log_tail: '' }, source, writer)
    }
    if (written.ok)
      parts.onFinal?.({ job: ref.id, kind: state.kind.name, round: ref.round, status: outcome.status, source, ...detailOf(state, outcome) })
    if (!written.ok && written.reason === 'stale_writer') return
    // `final`: somebody else was faster. `unknown_job`: it has expired. Anything else would leave a job that never ends.
    if (!written.ok && !['final', 'stale_round', 'unknown_job'].includes(written.reason)) {
      throw new Error(`job ${ref.id} cannot end as ${outcome.status}: ${written.reason} in ${written.status}`)
    }
  }
  if (state?.round === ref.round) {
    await tellOwner(parts, state, false)
    await scheduleParentStep(parts, state)
  }
  // While a worker still holds it, the sweeper keeps an eye on it.
  if (!(await queue.remove(ref))) return
  if (state?.kind.inSteps) return scheduleStep(parts, state) // its last step winds down what it is made of
  await store.deactivate(ref)
}

/** What there is to say of an end beside its status. */
function detailOf(state: JobState, outcome: Outcome): Pick<Final, 'forced' | 'code' | 'cancelMs'> {
  if (outcome.status === 'failed') return { code: outcome.code }
  if (outcome.status !== 'cancelled') return {}
  const asked = state.status === 'cancelling' ? state.latest.get('status') : undefined
  return {
    ...(outcome.forced && { forced: true }),
    ...(asked && { cancelMs: Math.max(0, storeClock.now() - Date.parse(timestampOf(asked))) }),
  }
}

/**
 * Puts a job among its owner's active ones, or takes it from them, and looks whether that is still so: a round may have ended, or the next one have begun,
 * while this was under way. Whoever acts last has looked after it.
 */
export async function tellOwner(
  parts: Pick<Finalizer, 'broker' | 'feeds'>,
  job: { id: string; owner: string },
  isActive: boolean,
): Promise<void> {
  const { broker, feeds } = parts
  await (isActive ? feeds.add(job.owner, job.id) : feeds.remove(job.owner, job.id))
  const now = (await broker.read(job.id))?.state
  const isActiveNow = now !== undefined && !isFinal(now.status)
  if (isActiveNow !== isActive) await tellOwner(parts, job, isActiveNow)
}

function finalEvents(state: JobState, outcome: Outcome): JobEvent[] {
  const { events } = state.kind
  const last = events.last(state)
  switch (outcome.status) {
    case 'completed':
      // The queue has brought back what the processor returned, as JSON; the event's schema checks it.
      // A Redis that came back without its last writes may know nothing of the start.
      return [
        { ...events.status(state.id, 'running'), optional: true },
        events.completed(state.id, { ...(outcome.result as object), compute_time_s: outcome.compute_time_s }, last),
      ]
    case 'failed':
      return [events.failed(state.id, outcome, last)]
    case 'cancelled':
      return [{ ...events.status(state.id, 'cancelling'), optional: true }, events.cancelled(state.id, last, outcome.forced)]
  }
}
