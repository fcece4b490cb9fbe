import { type Config, ConfigError } from '../config/config.js'
import { type KindName, queueOf } from '../core/kinds.js'
import { BUILT_IN_SOLVER } from '../kinds/run/input.js'
import type { Solver } from '../kinds/run/solver.js'

/** The kind of job that solvers compute. */
const SOLVED = 'run'

type Choice = Pick<Config, 'WORKER_KINDS' | 'WORKER_SOLVERS'>

/** The queue of a configured solver. */
export function solverQueue(name: string): string {
  return queueOf({ kind: SOLVED, solver: name })
}

/** The kinds whose own processor a worker with these settings runs. */
export function ownKinds({ WORKER_KINDS, WORKER_SOLVERS: chosen }: Choice): readonly KindName[] {
  const isLeftOut = chosen.length > 0 && !chosen.includes(BUILT_IN_SOLVER)
  return [...new Set(WORKER_KINDS)].filter((kind) => kind !== SOLVED || !isLeftOut)
}

/** The configured solvers whose runs a worker with these settings takes. Throws `ConfigError` where `WORKER_SOLVERS` names one that there is not. */
export function chosenSolvers({ WORKER_KINDS, WORKER_SOLVERS: chosen }: Choice, solvers: readonly Solver[]): readonly Solver[] {
  const names = [BUILT_IN_SOLVER, ...solvers.map(({ name }) => name)]
  if (!chosen.every((name) => names.includes(name))) throw new ConfigError([`WORKER_SOLVERS: expected names of ${names.join(', ')}`])
  if (!WORKER_KINDS.includes(SOLVED)) return []
  return solvers.filter(({ name }) => chosen.length === 0 || chosen.includes(name))
}

/** All queues that a worker with these settings takes from. Throws like `chosenSolvers`. */
export function workerQueues(choice: Choice, solvers: readonly Solver[]): readonly string[] {
  const own = ownKinds(choice).map((kind) => queueOf({ kind, solver: null }))
  return [...own, ...chosenSolvers(choice, solvers).map(({ name }) => solverQueue(name))]
}
