import type { Broker } from '../broker/broker.js'
import type { ActiveRounds } from '../broker/job-store.js'
import { controlWriter, type JobEvent } from '../protocol/entry.js'
import type { JobState } from '../protocol/job-state.js'
import { lifecycleOf } from '../protocol/kinds.js'
import { isFinal } from '../protocol/status.js'
import type { Outcome, Queue, QueueRef } from './queue.js'

export interface Finalizer {
  readonly broker: Broker
  readonly store: ActiveRounds
  readonly queue: Queue
}

/**
 * Ends a round: writes its one final entry, then removes the queue's job, then takes it out of the sweeper's index. Idempotent, for any caller at any
 * time after the queue has committed; another round is left alone. The order loses no result: until the entry is written, the queue keeps the outcome.
 */
export async function finalize({ broker, store, queue }: Finalizer, ref: QueueRef, outcome: Outcome): Promise<void> {
  const state = (await broker.read(ref.id))?.state
  if (state?.round === ref.round && !isFinal(state.status)) {
    const written = await broker.publish(ref.id, finalEvents(state, outcome), controlWriter(ref.round))
    if (!written.ok && written.reason === 'too_big') {
      const error = 'The result is larger than a message may be.'
      return finalize({ broker, store, queue }, ref, { status: 'failed', code: 'solver_error', error, log_tail: '' })
    }
    // `final`: somebody else was faster. `unknown_job`: it has expired. Anything else would leave a job that never ends.
    if (!written.ok && !['final', 'stale_round', 'unknown_job'].includes(written.reason)) {
      throw new Error(`job ${ref.id} cannot end as ${outcome.status}: ${written.reason} in ${written.status}`)
    }
  }
  // While a worker still holds it, the sweeper keeps an eye on it.
  if (await queue.remove(ref)) await store.retire(ref)
}

function finalEvents(state: JobState, outcome: Outcome): JobEvent[] {
  const events = lifecycleOf(state.kind)
  const last = events.last(state)
  switch (outcome.status) {
    case 'completed':
      // The queue has brought back what the processor returned, as JSON; the event's schema checks it.
      return [events.completed(state.id, { ...(outcome.result as object), compute_time_s: outcome.compute_time_s }, last)]
    case 'failed':
      return [events.failed(state.id, outcome, last)]
    case 'cancelled':
      return [{ ...events.status(state.id, 'cancelling'), optional: true }, events.cancelled(state.id, last)]
  }
}
