import { controlWriter, type JobEvent, timestampOf, type Writer } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import { traceIdOf } from '../core/traceparent.js'
import type { LogLine } from '../protocol/log-messages.js'
import { isFinal } from '../protocol/status.js'
import type { Backlog, Outcome, Queue } from '../queue/queue.js'
import type { Broker } from '../storage/broker.js'
import type { Checkpoints } from '../storage/checkpoints.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import type { Feeds } from '../storage/feeds.js'
import type { ActiveRounds, ChildJobs } from '../storage/job-store.js'
import type { TelemetryStore } from '../storage/telemetry.js'
import { LOG_TAIL_LINES, logTailOf } from './attempt.js'
import type { Final, FinalSource, JobTally } from './job-tally.js'
import { scheduleParentStep, scheduleStep } from './sweeper/schedule-step.js'

/** Enough for the tail, in which long lines are cut. */
const MAX_TAIL_BYTES = 128 * 1024

export interface Finalizer {
  readonly broker: Broker & Checkpoints
  readonly store: ActiveRounds & ChildJobs
  readonly feeds: Feeds
  readonly queue: Queue
  readonly backlog: Pick<Backlog, 'step'>
  readonly telemetry: Pick<TelemetryStore, 'lines'>
  /** Called for each end that this process has written. */
  readonly onFinal?: (final: Final) => void
  /** Counters of submits, retries and cancels. */
  readonly tally?: JobTally
}

/**
 * Ends an execution. It writes the one final event, removes the job from its owner's active-jobs index, schedules the
 * next step of its parent, removes the queue's job, and removes the execution from the sweeper's index (for a job in
 * steps, the sweeper does this once all children have ended). Idempotent: any caller may call it at any time after the
 * queue has committed. Another execution is not touched. The order loses no result: the queue keeps the outcome until
 * the event is written. `writer` is the fencing writer of the process that gives up a worker; nothing happens if
 * another writer has begun.
 */
export async function finalize(
  ports: Finalizer,
  ref: QueueRef,
  outcome: Outcome,
  source: FinalSource,
  writer: Writer = controlWriter(ref.round),
): Promise<void> {
  const { broker, store, queue } = ports
  const state = (await broker.read(ref.id))?.state
  if (state?.round === ref.round && !isFinal(state.status)) {
    const written = await broker.publish(ref.id, finalEvents(state, await withLogTail(ports, state, outcome)), writer)
    if (!written.ok && written.reason === 'too_big') {
      const error = `The result cannot be published: ${written.text}`
      return finalize(ports, ref, { status: 'failed', code: 'solver_error', error, log_tail: '' }, source, writer)
    }
    if (written.ok)
      ports.onFinal?.({ job: ref.id, kind: state.kind.name, round: ref.round, status: outcome.status, source, ...detailOf(state, outcome) })
    if (!written.ok && written.reason === 'stale_writer') return
    // `final`: another process was faster. `unknown_job`: the job has expired. Any other refusal would leave a job that
    // never ends.
    if (!written.ok && !['final', 'stale_round', 'unknown_job'].includes(written.reason)) {
      throw new Error(`job ${ref.id} cannot end as ${outcome.status}: ${written.reason} in ${written.status}`)
    }
  }
  if (state?.round === ref.round) {
    await updateActiveIndex(ports, state, false)
    await scheduleParentStep(ports, state)
  }
  // While a worker still holds it, the sweeper keeps watching it.
  if (!(await queue.remove(ref))) return
  if (state?.kind.inSteps) return scheduleStep(ports, state) // its last step cancels its children
  await store.deactivate(ref)
}

/**
 * A failure with the last lines of the log. The process that ends the execution of a lost worker has not seen them, and
 * an end does not depend on them.
 */
async function withLogTail({ telemetry }: Finalizer, state: JobState, outcome: Outcome): Promise<Outcome> {
  if (outcome.status !== 'failed' || outcome.log_tail !== '') return outcome
  const page = await telemetry.lines(state.id, { limit: LOG_TAIL_LINES, maxBytes: MAX_TAIL_BYTES }).catch(() => null)
  if (page?.owner !== state.owner) return outcome
  const texts = page.lines.map((line) => (JSON.parse(line.toString()) as LogLine).text) // as they were written
  return { ...outcome, log_tail: logTailOf(texts).join('\n') }
}

/** Details of an end besides its status. */
function detailOf(state: JobState, outcome: Outcome): Omit<Final, 'job' | 'kind' | 'round' | 'status' | 'source'> {
  const { traceparent } = state
  return { ...(traceparent !== undefined && { trace_id: traceIdOf(traceparent) }), ...detailOfOutcome(state, outcome) }
}

function detailOfOutcome(state: JobState, outcome: Outcome): Pick<Final, 'forced' | 'code' | 'own_code' | 'cancelMs'> {
  if (outcome.status === 'failed') return { code: outcome.code, ...(outcome.own_code !== undefined && { own_code: outcome.own_code }) }
  if (outcome.status !== 'cancelled') return {}
  const asked = state.status === 'cancelling' ? state.latest.get('status') : undefined
  return {
    ...(outcome.forced && { forced: true }),
    ...(asked && { cancelMs: Math.max(0, storeClock.now() - Date.parse(timestampOf(asked))) }),
  }
}

/**
 * Adds a job to its owner's active-jobs index, or removes it, and then checks whether that is still right: meanwhile an
 * execution may have ended, or the next one may have begun. So the last process to write leaves the index correct.
 */
export async function updateActiveIndex(
  ports: Pick<Finalizer, 'broker' | 'feeds'>,
  job: { id: string; owner: string },
  isActive: boolean,
): Promise<void> {
  const { broker, feeds } = ports
  await (isActive ? feeds.add(job.owner, job.id) : feeds.remove(job.owner, job.id))
  const now = (await broker.read(job.id))?.state
  const isActiveNow = now !== undefined && !isFinal(now.status)
  if (isActiveNow !== isActive) await updateActiveIndex(ports, job, isActiveNow)
}

function finalEvents(state: JobState, outcome: Outcome): JobEvent[] {
  const { events } = state.kind
  const last = events.last(state)
  switch (outcome.status) {
    case 'completed':
      // The queue returns the processor's result as JSON, and the event's schema checks it. A Redis that has lost its
      // last writes may not know the start.
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
