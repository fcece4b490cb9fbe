import { kindOf } from '../../core/define-kind.js'
import { formatNumber } from '../../core/format-number.js'
import { integer } from '../../core/setting.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../../core/timeout.js'
import { optimizationEvents, optimizationSnapshot } from './events.js'
import { OptimizationInput, optimizationInputFaults } from './input.js'
import type { OptimizationMessages } from './messages.js'

const settings = {
  OPTIMIZATION_TIMEOUT_S: integer('The same for an optimization with all its runs; a pause counts.', 86_400, MIN_TIMEOUT_S, MAX_TIMEOUT_S),
}

/** A search for the best inputs of a solver. Each point is a run; no worker holds the search itself. */
export const optimizationKind = kindOf({
  name: 'optimization',
  dialect: 'run',
  path: 'optimizations',
  idField: 'optimization_id',
  phases: ['evaluating'],
  submission: { path: '/api/v2/optimizations', isFlat: true },
  input: OptimizationInput,
  inputIssues: optimizationInputFaults,
  inSteps: true,
  attempts: 1,
  timeoutS: { setting: 'OPTIMIZATION_TIMEOUT_S' },
  settings,
  events: optimizationEvents,
  snapshot: optimizationSnapshot,
  // A front of hundreds of points is for whoever asks for that one.
  hiddenInLists: ['front'],
  clears: { round: ['iteration', 'pareto'] },
  steps: ({ evaluated, total }) => (typeof evaluated === 'number' && typeof total === 'number' ? { current: evaluated, total } : null),
  display: { line: lineOf },
})

/** In a terminal only what is on the front: the bar says the rest. */
function lineOf(message: { readonly type: string }, isTerminal: boolean): string | null {
  if (message.type !== 'optimization_iteration') return null
  const { iteration, pareto_updated, metrics } = message as OptimizationMessages['optimization_iteration'] // of this type
  if (!pareto_updated && isTerminal) return null
  const values = Object.entries(metrics).map(([name, value]) => `${name} ${formatNumber(value)}`)
  return `iteration ${iteration}${pareto_updated ? ', on the front' : ''}: ${values.join(', ')}`
}
