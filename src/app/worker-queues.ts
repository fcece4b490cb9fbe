import { type Config, ConfigError } from '../config/config.js'
import type { Solver } from '../config/solver.js'
import { type Kind, type Kinds, queueOf } from '../core/kind.js'

type Choice = Pick<Config, 'WORKER_KINDS' | 'WORKER_SOLVERS'>

/** A kind that a worker takes, from one of its queues. */
export interface TakenQueue {
  readonly kind: Kind
  readonly queue: string
  /** The configured solver that computes its jobs; null where the kind's own does. */
  readonly solver: Solver | null
}

/**
 * The queues that a worker with these settings takes from: first those of the kinds, then those of the configured solvers, which compute the kinds that have any
 * of their own. Throws `ConfigError` where `WORKER_SOLVERS` names one that there is not.
 */
export function workerQueues({ WORKER_KINDS, WORKER_SOLVERS: chosen }: Choice, solvers: readonly Solver[], kinds: Kinds): TakenQueue[] {
  const own = kinds.solved.flatMap((kind) => kind.solvers)
  const names = [...own, ...solvers.map(({ name }) => name)]
  if (!chosen.every((name) => names.includes(name))) throw new ConfigError([`WORKER_SOLVERS: expected names of ${names.join(', ')}`])
  const isChosen = (name: string) => chosen.length === 0 || chosen.includes(name)
  const taken = [...new Set(WORKER_KINDS)].flatMap((name) => kinds.find(name) ?? [])
  const ofKinds = taken
    .filter((kind) => kind.solvers.length === 0 || kind.solvers.some(isChosen))
    .map((kind) => ({ kind, queue: queueOf({ kind, solver: null }), solver: null }))
  const ofSolvers = taken
    .filter((kind) => kind.solvers.length > 0)
    .flatMap((kind) =>
      solvers.filter(({ name }) => isChosen(name)).map((solver) => ({ kind, queue: queueOf({ kind, solver: solver.name }), solver })),
    )
  return [...ofKinds, ...ofSolvers]
}

/** The queues of configured solvers, with each of them. */
export function solverQueues(solvers: readonly Solver[], kinds: Kinds): readonly (readonly [queue: string, solver: Solver])[] {
  return kinds.solved.flatMap((kind) => solvers.map((solver) => [queueOf({ kind, solver: solver.name }), solver] as const))
}
