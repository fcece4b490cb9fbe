import { type Config, numberIn } from '../config/config.js'
import { loadSolvers } from '../config/load-solvers.js'
import type { Kind, Kinds } from '../core/kind.js'
import { RuncastError } from '../protocol/codes.js'
import type { StepContext, Work } from '../worker/implement.js'
import type { AnyProcessor } from '../worker/processor.js'
import { checkPrograms, programFault } from '../worker/program/check-programs.js'
import { commandProcessor } from '../worker/program/command-processor.js'
import type { Environment } from '../worker/program/environment.js'
import { ThreadPool } from '../worker/threads/thread-pool.js'
import { workerQueues } from './worker-queues.js'

/** A queue with the computation of its jobs. */
export interface StartedQueue {
  readonly kind: Kind
  readonly queue: string
  readonly concurrency: number
  readonly computedBy: AnyProcessor | ((context: StepContext) => (id: string) => Promise<void>)
}

export interface StartedWork {
  readonly queues: readonly StartedQueue[]
  /** Kinds that the settings name, but that no work computes. */
  readonly idle: readonly string[]
  /** Call it after the last job has ended. */
  close(): Promise<void>
}

/**
 * Prepares the work of a worker with these settings. Threads start with their first job; other preparation happens now,
 * and only for the kinds that this worker processes. Rejects with `SolversError` for an invalid solvers file or a
 * missing program of the file, with `invalid` for any other one, with `ConfigError` for an unknown solver, and with the
 * errors of a kind's own preparation.
 * `perKind`: concurrent jobs per kind, instead of the setting.
 */
export async function startWork(
  config: Config,
  work: readonly Work[],
  kinds: Kinds,
  env: Environment,
  perKind?: number,
): Promise<StartedWork> {
  const solvers = loadSolvers(config.SOLVERS_FILE, kinds)
  const selected = workerQueues(config, solvers, kinds)
  const chosen = selected.flatMap(({ solver }) => solver ?? [])
  checkPrograms({ solvers, path: config.SOLVERS_FILE }, chosen, env)
  const closing: (() => Promise<void>)[] = []
  const close = async () => {
    await Promise.all(closing.map((act) => act()))
  }
  const queues: StartedQueue[] = []
  const idle: string[] = []
  try {
    for (const { kind, queue, solver } of selected) {
      if (solver) queues.push({ kind, queue, concurrency: solver.concurrency, computedBy: commandProcessor(solver, env) })
      else {
        const own = work.findLast((each) => each.kind.name === kind.name)
        if (own) queues.push({ kind, queue, concurrency: perKind ?? numberIn(config, kind.concurrency), computedBy: await start(own) })
        else idle.push(kind.name)
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { queues, idle, close }

  async function start({ kind, computation }: Work): Promise<StartedQueue['computedBy']> {
    if ('run' in computation) return computation.run
    if ('steps' in computation) return computation.steps
    if ('program' in computation) {
      const program = { args: [], cwd: '.', env: {}, concurrency: 1, ...computation.program, name: kind.name }
      const fault = programFault(program, env)
      if (fault !== null) throw new RuncastError('invalid', `The program of ${kind.name} cannot be started: ${fault}`)
      return commandProcessor(program, env)
    }
    if ('thread' in computation) {
      const pool = new ThreadPool(computation.thread)
      closing.push(() => pool.close())
      return pool.processor
    }
    const ready = await computation.prepare({ config, env })
    closing.push(async () => ready.close?.())
    return ready.run
  }
}
