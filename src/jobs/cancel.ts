import { controlWriter } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { isComputedKind, lifecycleOf } from '../core/kinds.js'
import { RuncastError } from '../protocol/codes.js'
import { isFinal, type Status } from '../protocol/status.js'
import { queuedRoundOf } from '../queue/queue.js'
import { type Finalizer, finalize } from './finalize.js'
import { scheduleStep } from './sweeper/schedule-step.js'

const WAITING: readonly Status[] = ['queued', 'retrying', 'paused']

/**
 * Cancels a job: one that waits ends at once; one that runs is told to, wherever it runs. Answers with the status now. Rejects with `already_final`, and as `read`
 * does, which reads the job as its caller may see it.
 */
export async function cancelJob(parts: Finalizer, read: () => Promise<JobState>): Promise<Status> {
  // Between two writes the job may start or be handed back; each turn of this loop sees one of these steps.
  for (let tries = 0; tries < 5; tries += 1) {
    const state = await read()
    if (isFinal(state.status)) throw new RuncastError('already_final')
    const { id, kind, round } = state
    const ref = queuedRoundOf(state)
    const events = lifecycleOf(kind)
    const waiting = { ...events.cancelled(id, events.last(state)), from: WAITING }
    const ended = await parts.broker.publish(id, [waiting], controlWriter(round))
    // Refused because it is cancelled: this very write arrived twice, or somebody else was as fast.
    if (ended.ok || ended.status === 'cancelled') {
      if (ended.ok) {
        parts.tally?.cancels.add(kind)
        parts.onFinal?.({ job: id, kind, round, status: 'cancelled', source: 'cancel', cancelMs: 0 })
      }
      await finalize(parts, ref, { status: 'cancelled' }, 'cancel')
      return 'cancelled'
    }
    const told = await parts.broker.publish(id, [events.status(id, 'cancelling')], controlWriter(round))
    if (told.ok || told.status === 'cancelling') {
      if (told.ok) parts.tally?.cancels.add(kind)
      if (isComputedKind(kind)) await parts.queue.cancelOnOwner(ref)
      else await scheduleStep(parts, state)
      return 'cancelling'
    }
  }
  throw new RuncastError('overloaded')
}
