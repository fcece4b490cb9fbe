/*
 * What the built-in kinds say over the wire: their inputs, messages and results, as schemas and types.
 */
export { BenchmarkInput } from './benchmark/input.js'
export { Model } from './benchmark/model.js'
export {
  BenchmarkResult,
  BenchmarkSummary,
  CellSkipped,
  CellSummary,
  Distribution,
  REQUEST_FAILURES,
  RequestFailed,
  type RequestFailureCode,
  RequestOk,
} from './benchmark/result.js'
export { OptimizationInput } from './optimization/input.js'
export { FrontPoint, OPTIMIZATION_MESSAGES, type OptimizationMessages, OptimizationSnapshot } from './optimization/messages.js'
export { BUILT_IN_SOLVER, HORN_MATERIALS, HORN_PROFILES, HornInput } from './run/input.js'
