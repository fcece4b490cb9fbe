import type { Work } from '../src/worker/implement.js'
import { benchmarkWork } from './benchmark/work.js'
import { optimizationWork } from './optimization/work.js'
import { runWork } from './solver/work.js'

/** THE list of what computes the built-in kinds. */
export const BUILT_IN_WORK: readonly Work[] = [runWork, optimizationWork, benchmarkWork]
