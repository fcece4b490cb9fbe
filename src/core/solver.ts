import { RuncastError } from '../protocol/codes.js'
import type { Kind } from './kind.js'

/** The configured solver of this name; null for a built-in one. Throws `invalid` for an unknown name. */
export function solverOf({ solvers }: Pick<Kind, 'solvers'>, name: string | undefined, configured: readonly string[]): string | null {
  if (name === undefined || solvers.includes(name)) return null
  if (solvers.length > 0 && configured.includes(name)) return name
  const known = solvers.length > 0 ? [...solvers, ...configured] : []
  throw new RuncastError('invalid', {
    issues: [{ path: '/solver', expected: known.length > 0 ? `one of ${known.join(', ')}` : 'to be absent: the kind has no solvers' }],
  })
}
