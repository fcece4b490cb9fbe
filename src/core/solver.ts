import { RuncastError } from '../protocol/codes.js'
import type { Kind } from './kind.js'

/**
 * Stands for the solver of a job that its owner computes. No solver can have this name, so no worker takes the queue of
 * such jobs, not even one of an earlier version.
 */
export const OWNER_SOLVER = '_owner'

/** Whether the owner of a job computes it. */
export function isOwned({ solver }: { readonly solver: string | null }): boolean {
  return solver === OWNER_SOLVER
}

/** Maximum attempts of an execution. Nobody takes over from an owner. */
export function attemptsOf({ kind, solver }: { readonly kind: Pick<Kind, 'attempts'>; readonly solver: string | null }): number {
  return isOwned({ solver }) ? 1 : kind.attempts
}

/** The configured solver of this name; null for a built-in one. Throws `invalid` for an unknown name. */
export function solverOf({ solvers }: Pick<Kind, 'solvers'>, name: string | undefined, configured: readonly string[]): string | null {
  if (name === undefined || solvers.includes(name)) return null
  if (solvers.length > 0 && configured.includes(name)) return name
  const known = solvers.length > 0 ? [...solvers, ...configured] : []
  throw new RuncastError('invalid', {
    issues: [{ path: '/solver', expected: known.length > 0 ? `one of ${known.join(', ')}` : 'to be absent: the kind has no solvers' }],
  })
}
