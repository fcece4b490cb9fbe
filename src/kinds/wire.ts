/* Schemas and types of the built-in kinds: inputs, messages, results, and events of workers over HTTP. */
import type { Static } from 'typebox'
import { assignment, claimRequest } from '../protocol/claim-messages.js'
import { BUILT_IN_KINDS } from './index.js'

const claimable = BUILT_IN_KINDS.filter(({ claimEvents }) => claimEvents !== null)
const names = claimable.map(({ name }) => name)

export const ClaimRequest = claimRequest(names)
export type ClaimRequest = Static<typeof ClaimRequest>
export const Assignment = assignment(names)
export type Assignment = Static<typeof Assignment>
/** Events that a worker over HTTP may post, by kind and type. */
export const CLAIM_EVENTS = Object.fromEntries(claimable.map(({ name, claimEvents }) => [name, claimEvents ?? {}]))

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
