import { type Config, numberIn } from '../config/config.js'
import { loadSolvers } from '../config/load-solvers.js'
import type { Kind, Kinds } from '../core/kind.js'
import type { StepContext, Work } from '../worker/implement.js'
import type { AnyProcessor } from '../worker/processor.js'
import { checkPrograms } from '../worker/program/check-programs.js'
import { commandProcessor } from '../worker/program/command-processor.js'
import type { Environment } from '../worker/program/environment.js'
import { ThreadPool } from '../worker/threads/thread-pool.js'
import { workerQueues } from './worker-queues.js'

/** A queue with what does its jobs, ready to. */
export interface StartedQueue {
  readonly kind: Kind
  readonly queue: string
  readonly concurrency: number
  readonly computedBy: AnyProcessor | ((context: StepContext) => (id: string) => Promise<void>)
}

export interface StartedWork {
  readonly queues: readonly StartedQueue[]
  /** Kinds that the settings name and that nothing here computes. */
  readonly idle: readonly string[]
  /** After the last job has ended. */
  close(): Promise<void>
}

/**
 * Makes ready what a worker with these settings takes: threads start with their first job, what needs preparation gets it now. A worker that does not take a kind
 * does not look at what that needs. Rejects with `SolversError` for what is wrong with the file of solvers, and for programs that this machine lacks; with
 * `ConfigError` for a chosen solver that is not in it; and as a kind's own preparation does. `perKind`: jobs of a kind at a time, instead of what it says.
 */
export async function startWork(
  config: Config,
  work: readonly Work[],
  kinds: Kinds,
  env: Environment,
  perKind?: number,
): Promise<StartedWork> {
  const solvers = loadSolvers(config.SOLVERS_FILE, kinds)
  const taken = workerQueues(config, solvers, kinds)
  const chosen = taken.flatMap(({ solver }) => solver ?? [])
  checkPrograms({ solvers, path: config.SOLVERS_FILE }, chosen, env)
  const closing: (() => Promise<void>)[] = []
  const close = async () => {
    await Promise.all(closing.map((act) => act()))
  }
  const queues: StartedQueue[] = []
  const idle: string[] = []
  try {
    for (const { kind, queue, solver } of taken) {
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
    if ('program' in computation)
      return commandProcessor({ args: [], cwd: '.', env: {}, concurrency: 1, ...computation.program, name: kind.name }, env)
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
