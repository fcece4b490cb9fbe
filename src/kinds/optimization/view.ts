import type { OptimizationMessages, OptimizationSnapshot } from './messages.js'

type Found = Pick<OptimizationSnapshot, 'counters' | 'front' | 'best'>
/** Fields of the view of an optimization beside those of any job. */
export type OptimizationView = Partial<Found> & { readonly optimization_id?: string }
/** Messages of an optimization beside those of any job. */
export type OptimizationMessage = OptimizationMessages['optimization_iteration' | 'pareto_front']

const NOTHING_FOUND: Found = {
  counters: { evaluated: 0, total: null, generation: 0, feasible: 0, failed: 0 },
  front: [],
  best: null,
}

/** Changes of the view by a message; null for other messages. The type of a message determines its fields. */
export function foldOptimization(message: { readonly type: string }): Partial<Found> | null {
  switch (message.type) {
    case 'optimization_iteration': {
      const { iteration: evaluated, total, generation, counters } = message as OptimizationMessages['optimization_iteration']
      return { counters: { evaluated, total, generation, ...counters } }
    }
    case 'pareto_front': {
      const { points, best } = message as OptimizationMessages['pareto_front']
      return { front: points, best }
    }
    default:
      return null
  }
}

/** Resets the fields for a new execution; empty for a job of another kind. */
export function emptyOptimization(view: OptimizationView): Partial<Found> {
  return view.counters ? NOTHING_FOUND : {}
}
