import type { OptimizationMessages, OptimizationSnapshot } from './messages.js'

type Found = Pick<OptimizationSnapshot, 'counters' | 'front' | 'best'>
/** What the view of a job has beside that of any job: of an optimization, what it has found so far. */
export type OptimizationView = Partial<Found> & { readonly optimization_id?: string }
/** Its messages beside those of any job. */
export type OptimizationMessage = OptimizationMessages['optimization_iteration' | 'pareto_front']

const NOTHING_FOUND: Found = {
  counters: { evaluated: 0, total: null, generation: 0, feasible: 0, failed: 0 },
  front: [],
  best: null,
}

/** What a message changes; null for one that is not of an optimization. */
export function foldOptimization(message: { readonly type: string }): Partial<Found> | null {
  switch (message.type) {
    case 'optimization_iteration': {
      const { iteration: evaluated, total, generation, counters } = message as OptimizationMessages['optimization_iteration'] // of this type
      return { counters: { evaluated, total, generation, ...counters } }
    }
    case 'pareto_front': {
      const { points, best } = message as OptimizationMessages['pareto_front'] // likewise
      return { front: points, best }
    }
    default:
      return null
  }
}

/** A new round has found nothing. */
export function emptyOptimization(view: OptimizationView): Partial<Found> {
  return view.counters ? NOTHING_FOUND : {}
}
