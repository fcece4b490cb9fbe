import { controlWriter } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { RuncastError } from '../protocol/codes.js'
import { isComputed, isFinal, type Status } from '../protocol/status.js'
import { queuedRoundOf } from '../queue/queue.js'
import { type Finalizer, finalize } from './finalize.js'
import { scheduleStep } from './sweeper/schedule-step.js'

const WAITING: readonly Status[] = ['queued', 'retrying', 'paused']
const MAX_TRIES = 10

/**
 * Cancels a job: one that waits ends at once; one that a worker computes is told to, wherever it runs. Answers with the status now. Rejects with `already_final`,
 * and as `read` does, which reads the job as its caller may see it.
 */
export async function cancelJob(parts: Finalizer, read: () => Promise<JobState>): Promise<Status> {
  // One write, unless the job starts or is handed back between its read and the write: then it is refused, and the next turn sees where the job is.
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const state = await read()
    if (isFinal(state.status)) throw new RuncastError('already_final')
    const { id, kind, round } = state
    const { events } = kind
    const event = isComputed(state.status)
      ? events.status(id, 'cancelling')
      : { ...events.cancelled(id, events.last(state)), from: WAITING }
    const written = await parts.broker.publish(id, [event], controlWriter(round))
    if (written.ok) parts.tally?.cancels.add(kind.name)
    // Refused because it is there already: this very write arrived twice, or somebody else was as fast.
    const status = written.ok ? event.to : written.status
    const ref = queuedRoundOf(state)
    if (status === 'cancelled') {
      if (written.ok) parts.onFinal?.({ job: id, kind: kind.name, round, status, source: 'cancel', cancelMs: 0 })
      await finalize(parts, ref, { status }, 'cancel')
      return status
    }
    if (status === 'cancelling') {
      if (kind.inSteps) await scheduleStep(parts, state)
      else await parts.queue.cancelOnOwner(ref)
      return status
    }
  }
  throw new RuncastError('overloaded')
}
