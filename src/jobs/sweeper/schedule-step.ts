import type { JobState } from '../../core/job-state.js'
import { isFinal } from '../../protocol/status.js'
import { type Backlog, queuedRoundOf, type StepCause } from '../../queue/queue.js'
import type { Broker } from '../../storage/broker.js'

export interface Nudging {
  readonly broker: Pick<Broker, 'read'>
  readonly backlog: Pick<Backlog, 'step'>
}

/** Lets a job that goes on in steps do the next one, which sees whatever was written before this call. Any other kind is left alone. */
export async function scheduleStep({ backlog }: Pick<Nudging, 'backlog'>, state: JobState, why: StepCause = 'news'): Promise<void> {
  if (state.kind.inSteps) await backlog.step(queuedRoundOf(state), why)
}

/** A part of a job has ended: the whole goes on. */
export async function scheduleParentStep(parts: Nudging, part: JobState): Promise<void> {
  const parent = part.parent === null ? null : await parts.broker.read(part.parent)
  // Of one that has ended the parts are wound down by whoever looks after it.
  if (parent && !isFinal(parent.state.status)) await scheduleStep(parts, parent.state)
}
