import { controlWriter } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import { RuncastError } from '../protocol/codes.js'
import { isComputed, isFinal, type Status } from '../protocol/status.js'
import { queuedRoundOf } from '../queue/queue.js'
import { type Finalizer, finalize } from './finalize.js'
import { scheduleStep } from './sweeper/schedule-step.js'

const WAITING: readonly Status[] = ['queued', 'retrying', 'paused']
const MAX_TRIES = 10

/**
 * Cancels a job. A waiting job ends at once. A running job is asked to stop, on whichever worker it runs. Returns the
 * current status. Rejects with `already_final`, and as `read` does, which reads the job with the caller's permissions.
 */
export async function cancelJob(ports: Finalizer, read: () => Promise<JobState>): Promise<Status> {
  // Usually one write. If the job starts or returns to the queue between the read and the write, the write is refused,
  // and the next turn reads the new status.
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const state = await read()
    if (isFinal(state.status)) throw new RuncastError('already_final')
    const { id, kind, round } = state
    const { events } = kind
    const event = isComputed(state.status)
      ? events.status(id, 'cancelling')
      : { ...events.cancelled(id, events.last(state)), from: WAITING }
    // A job that waits for its turn is checked rarely. If this process dies now, the next sweep completes the cancel.
    if (!isComputed(state.status)) await ports.store.touch(state, storeClock.now())
    const written = await ports.broker.publish(id, [event], controlWriter(round))
    if (written.ok) ports.tally?.cancels.add(kind.name)
    // Refused because it has been written already: this write arrived twice, or another process was as fast.
    const status = written.ok ? event.to : written.status
    const ref = queuedRoundOf(state)
    if (status === 'cancelled') {
      if (written.ok) ports.onFinal?.({ job: id, kind: kind.name, round, status, source: 'cancel', cancelMs: 0 })
      await finalize(ports, ref, { status }, 'cancel')
      return status
    }
    if (status === 'cancelling') {
      if (kind.inSteps) await scheduleStep(ports, state)
      else await ports.queue.cancelOnOwner(ref)
      return status
    }
  }
  throw new RuncastError('overloaded')
}
