import { kindOf } from '../../core/define-kind.js'
import { formatNumber } from '../../core/format-number.js'
import { integer, oneOf } from '../../core/setting.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../../core/timeout.js'
import { optimizationEvents, optimizationSnapshot } from './events.js'
import { OptimizationInput, optimizationInputFaults } from './input.js'
import { OPTIMIZATION_MESSAGES, type OptimizationMessages, SnapshotExtras } from './messages.js'

const settings = {
  OPTIMIZATION_TIMEOUT_S: integer(
    'Default time limit of an optimization with all its runs, from its first start, pauses included.',
    86_400,
    MIN_TIMEOUT_S,
    MAX_TIMEOUT_S,
  ),
  EVALUATION_TTL_MS: integer(
    'How long Redis keeps a run of an optimization after it has become an iteration.',
    600_000,
    1000,
    90 * 24 * 3600_000,
  ),
  EVALUATION_ARTIFACTS: oneOf('Whether runs of an optimization may store artifacts; otherwise theirs are ignored.', 'no', ['no', 'yes']),
}

/** Searches for the best inputs of a solver. Each point is evaluated as a run; the search itself holds no worker. */
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
  messages: OPTIMIZATION_MESSAGES,
  snapshot: optimizationSnapshot,
  snapshotExtras: SnapshotExtras,
  // A front can have hundreds of points.
  hiddenInLists: ['front'],
  clears: { round: ['iteration', 'pareto'] },
  steps: ({ evaluated, total }) => (typeof evaluated === 'number' && typeof total === 'number' ? { current: evaluated, total } : null),
  display: { line: lineOf },
})

/** In a terminal only iterations that changed the front; the progress bar covers the others. */
function lineOf(message: { readonly type: string }, isTerminal: boolean): string | null {
  if (message.type !== 'optimization_iteration') return null
  const { iteration, pareto_updated, metrics } = message as OptimizationMessages['optimization_iteration']
  if (!pareto_updated && isTerminal) return null
  const values = Object.entries(metrics).map(([name, value]) => `${name} ${formatNumber(value)}`)
  return `iteration ${iteration}${pareto_updated ? ', on the front' : ''}: ${values.join(', ')}`
}
