import { type JobEvent, messageOf } from '../../core/entry.js'
import type { JobRecord } from '../../core/job-record.js'
import { messageBuilder } from '../../core/message-builder.js'
import { jobEvents, snapshotFields } from '../../core/run-events.js'
import { OPTIMIZATION_MESSAGES, type OptimizationMessages, type OptimizationSnapshot } from './messages.js'

type Body<T extends keyof OptimizationMessages> = Omit<OptimizationMessages[T], 'type' | 'optimization_id' | 'timestamp'>

const message = messageBuilder(OPTIMIZATION_MESSAGES, (id) => ({ optimization_id: id }))

const life = jobEvents('optimization_id', OPTIMIZATION_MESSAGES)

/** Event builders of optimizations. Each throws `TypeError` for a message that its schema rejects. */
export const optimizationEvents = {
  ...life,

  /** Last progress and statistics for a final message, with the number of evaluated points. */
  last: (state: JobRecord): ReturnType<typeof life.last> => {
    const { iteration: evaluated, total } = latest<'optimization_iteration'>(state, 'iteration') ?? {}
    return { ...life.last(state), ...(evaluated !== undefined && { evaluated, total }) }
  },

  progress: (id: string, body: Body<'progress'>): JobEvent => ({
    key: 'progress',
    class: 'transient',
    message: message('progress', id, body),
  }),

  iteration: (id: string, body: Body<'optimization_iteration'>): JobEvent => ({
    key: 'iteration',
    class: 'persisted',
    message: message('optimization_iteration', id, body),
  }),

  /** Transient: a front replaces the previous one. A log of all fronts would take hundreds of megabytes. */
  front: (id: string, body: Body<'pareto_front'>): JobEvent => ({
    key: 'pareto',
    class: 'transient',
    message: message('pareto_front', id, body),
  }),
}

/** The snapshot of an optimization, without the flags of a connection. */
export function optimizationSnapshot(state: JobRecord): Omit<OptimizationSnapshot, 'recovered' | 'resync'> {
  const { iteration: evaluated = 0, total = null, generation = 0, counters } = latest<'optimization_iteration'>(state, 'iteration') ?? {}
  const { points: front = [], best = null } = latest<'pareto_front'>(state, 'pareto') ?? {}
  return {
    type: 'status',
    optimization_id: state.id,
    ...snapshotFields(state),
    counters: { evaluated, total, generation, feasible: counters?.feasible ?? 0, failed: counters?.failed ?? 0 },
    front,
    best,
  }
}

/** The current front of a state; null without one. */
export function frontOf(state: JobRecord): OptimizationMessages['pareto_front'] | null {
  return latest<'pareto_front'>(state, 'pareto') ?? null
}

/** Stored messages were checked when they were built, so the cast holds. */
function latest<T extends keyof OptimizationMessages>(state: JobRecord, key: string): OptimizationMessages[T] | undefined {
  const entry = state.latest.get(key)
  return entry && (messageOf(entry) as OptimizationMessages[T])
}
