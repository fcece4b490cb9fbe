import type { Config } from '../config/config.js'
import { loadSolvers } from '../kinds/run/load-solvers.js'
import type { Processor } from '../worker/processor.js'
import { checkPrograms } from '../worker/program/check-programs.js'
import { commandProcessor } from '../worker/program/command-processor.js'
import type { Environment } from '../worker/program/environment.js'
import { chosenSolvers, solverQueue } from './worker-queues.js'

/** A configured solver at work: its runs have a queue of their own. */
export interface SolverProcessor {
  readonly queue: string
  readonly concurrency: number
  readonly processor: Processor<'run'>
}

/**
 * The configured solvers that this worker takes. `env`: its environment, of which their programs get a few variables. Throws `SolversError` for what is wrong
 * with the file, and for programs of theirs that this machine lacks; `ConfigError` for a chosen one that is not in it.
 */
export function solverProcessors(
  config: Pick<Config, 'WORKER_KINDS' | 'WORKER_SOLVERS' | 'SOLVERS_FILE'>,
  env: Environment,
): readonly SolverProcessor[] {
  const solvers = loadSolvers(config.SOLVERS_FILE)
  const chosen = chosenSolvers(config, solvers)
  checkPrograms({ solvers, path: config.SOLVERS_FILE }, chosen, env)
  return chosen.map((solver) => ({
    queue: solverQueue(solver.name),
    concurrency: solver.concurrency,
    processor: commandProcessor(solver, env),
  }))
}
