import type { JobState } from '../../core/job-state.js'
import { isFinal } from '../../protocol/status.js'
import { type Backlog, queuedRoundOf, type StepCause } from '../../queue/queue.js'
import type { Broker } from '../../storage/broker.js'

export interface StepPorts {
  readonly broker: Pick<Broker, 'read'>
  readonly backlog: Pick<Backlog, 'step'>
}

/**
 * Schedules the next step of a job in steps. That step sees everything that was written before this call. Does nothing
 * for any other kind.
 */
export async function scheduleStep({ backlog }: Pick<StepPorts, 'backlog'>, state: JobState, why: StepCause = 'news'): Promise<void> {
  if (state.kind.inSteps) await backlog.step(queuedRoundOf(state), why)
}

/** Schedules a step of the parent when a child job has ended. */
export async function scheduleParentStep(ports: StepPorts, child: JobState): Promise<void> {
  const parent = child.parent === null ? null : await ports.broker.read(child.parent)
  // If the parent has ended, the sweeper cancels its children.
  if (parent && !isFinal(parent.state.status)) await scheduleStep(ports, parent.state)
}
