import type { Solver } from '../../config/solver.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** What a program gets of the worker's environment: where things are and which language is spoken. A list of what is handed on, so that no variable with a secret is, whatever its name. */
const HANDED_ON = /^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/

/** The whole environment of a program: a few variables of the worker, over them those of its solver, and the id of its run. */
export function environmentOf({ env }: Pick<Solver, 'env'>, worker: Environment, runId?: string): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(worker)) if (value !== undefined && HANDED_ON.test(name)) environment[name] = value
  return { ...environment, ...env, ...(runId !== undefined && { RUNCAST_RUN_ID: runId }) }
}
