import type { Solver } from '../../config/solver.js'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The variables of the worker that a program gets: paths and locale. It is an allowlist, so that no variable with a
 * secret is passed on, whatever its name.
 */
const HANDED_ON = /^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/

/**
 * The whole environment of a program: a few variables of the worker, overridden by those of its solver, and the id, the
 * folder and the trace of its job.
 */
export function environmentOf(
  { env }: Pick<Solver, 'env'>,
  worker: Environment,
  job?: { readonly id: string; readonly folder: string; readonly traceparent?: string | undefined },
): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(worker)) if (value !== undefined && HANDED_ON.test(name)) environment[name] = value
  const trace = job?.traceparent === undefined ? {} : { TRACEPARENT: job.traceparent }
  return { ...environment, ...env, ...(job && { RUNCAST_RUN_ID: job.id, RUNCAST_RUN_DIR: job.folder }), ...trace }
}
