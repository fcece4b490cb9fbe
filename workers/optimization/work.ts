import { optimizationKind } from '../../src/kinds/optimization/kind.js'
import { implement } from '../../src/worker/implement.js'
import { stepOptimization } from './optimization-step.js'

export const optimizationWork = implement(optimizationKind, { steps: (context) => (id) => stepOptimization(context, id) })
