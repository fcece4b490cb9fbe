import { type Config, ConfigError } from '../config/config.js'
import type { Solver } from '../config/solver.js'
import { type Kind, type Kinds, queueOf } from '../core/kind.js'

type Choice = Pick<Config, 'WORKER_KINDS' | 'WORKER_SOLVERS'>

/** A queue that a worker processes, with its kind. */
export interface WorkerQueue {
  readonly kind: Kind
  readonly queue: string
  /** The configured solver that computes its jobs; null if the kind's own computation does. */
  readonly solver: Solver | null
}

/**
 * The queues that a worker with these settings processes: first those of the kinds, then those of the configured
 * solvers. Throws `ConfigError` if `WORKER_SOLVERS` names an unknown solver.
 */
export function workerQueues({ WORKER_KINDS, WORKER_SOLVERS: chosen }: Choice, solvers: readonly Solver[], kinds: Kinds): WorkerQueue[] {
  const own = kinds.solved.flatMap((kind) => kind.solvers)
  const names = [...own, ...solvers.map(({ name }) => name)]
  if (!chosen.every((name) => names.includes(name))) throw new ConfigError([`WORKER_SOLVERS: expected names of ${names.join(', ')}`])
  const isChosen = (name: string) => chosen.length === 0 || chosen.includes(name)
  const selected = [...new Set(WORKER_KINDS)].flatMap((name) => kinds.find(name) ?? [])
  const ofKinds = selected
    .filter((kind) => kind.solvers.length === 0 || kind.solvers.some(isChosen))
    .map((kind) => ({ kind, queue: queueOf({ kind, solver: null }), solver: null }))
  const ofSolvers = selected
    .filter((kind) => kind.solvers.length > 0)
    .flatMap((kind) =>
      solvers.filter(({ name }) => isChosen(name)).map((solver) => ({ kind, queue: queueOf({ kind, solver: solver.name }), solver })),
    )
  return [...ofKinds, ...ofSolvers]
}

/** The queues of the configured solvers, with their solvers. */
export function solverQueues(solvers: readonly Solver[], kinds: Kinds): readonly (readonly [queue: string, solver: Solver])[] {
  return kinds.solved.flatMap((kind) => solvers.map((solver) => [queueOf({ kind, solver: solver.name }), solver] as const))
}
