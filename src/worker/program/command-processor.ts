import type { Solver } from '../../config/solver.js'
import { stringifyJson } from '../../protocol/json.js'
import type { Processor } from '../processor.js'
import { type Environment, environmentOf } from './environment.js'
import { GuardedProgram } from './guarded-program.js'
import { ProgramOutput } from './program-output.js'
import { resultOf } from './program-result.js'

/**
 * The processor of a solver that is a program. Each execution starts it once, with the input as JSON on stdin. Its
 * stdout carries events; everything else that it writes is log. `worker`: the environment of this process, of which a
 * program gets only a few variables. An error of the program is final; a failure to start it on this machine is not.
 */
export function commandProcessor(solver: Solver, worker: Environment): Processor<unknown, 'run'> {
  return async (input, job) => {
    job.signal.throwIfAborted()
    const { command, args, cwd } = solver
    const folder = await job.folder()
    job.signal.throwIfAborted()
    const program = new GuardedProgram({
      command,
      args,
      cwd,
      env: environmentOf(solver, worker, { id: job.id, folder, traceparent: job.traceparent }),
    })
    const output = new ProgramOutput(program, job)
    const terminate = () => program.terminate()
    const kill = () => {
      program.kill()
      output.close()
    }
    job.signal.addEventListener('abort', terminate)
    job.killed.addEventListener('abort', kill)
    // From here on each line is a sign of life: a program that is silent for long is reported as stale.
    job.alive()
    try {
      program.stdin.end(stringifyJson(input))
      const [exit] = await Promise.all([program.ended, output.read()])
      return resultOf({ exit, result: output.result, fault: output.fault, wasSignalled: program.wasSignalled })
    } catch (error) {
      // After any error: no program outlives its execution.
      program.end()
      await program.ended.catch(() => {})
      throw job.signal.aborted ? job.signal.reason : error
    } finally {
      job.signal.removeEventListener('abort', terminate)
      job.killed.removeEventListener('abort', kill)
    }
  }
}
