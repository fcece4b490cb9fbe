import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import type { Kind } from '../core/kind.js'
import { Checker } from '../protocol/checker.js'
import { RuncastError } from '../protocol/codes.js'
import { asPlainJson, ExactNumber, stringifyJson } from '../protocol/json.js'

/** Of a kind, made when it is first asked for. */
const checkers = new WeakMap<Kind, Checker<TSchema>>()

/**
 * An input with its defaults, checked; what was given may be a part of it. `solvers`: those that are configured. Throws `invalid` with the path of each faulty
 * field and what is expected there, also for a number that a double cannot hold.
 */
export function normaliseInput<I>(kind: Kind & { readonly '~input'?: I }, input: unknown, solvers: readonly string[] = []): I {
  const checker = checkerOf(kind)
  const filled = checker.fill(asPlainJson(input, '/input', 'double'))
  if (!checker.check(filled)) throw new RuncastError('invalid', { issues: checker.faults(filled, '/input') })
  const issues = kind.inputIssues(filled, solvers)
  if (issues.length > 0) throw new RuncastError('invalid', { issues })
  return filled as I // the checker of this kind has said so
}

function checkerOf(kind: Kind): Checker<TSchema> {
  const known = checkers.get(kind)
  if (known) return known
  const checker = new Checker<TSchema>(kind.input)
  checkers.set(kind, checker)
  return checker
}

/** The input of a configured solver, which alone knows what is in it: numbers keep their text. Throws `invalid` for what is no object, or what JSON cannot hold. */
export function objectOf(input: unknown): object {
  const plain = asPlainJson(input, '/input', 'exact')
  if (typeof plain === 'object' && plain !== null && !Array.isArray(plain) && !(plain instanceof ExactNumber)) return plain
  throw new RuncastError('invalid', { issues: [{ path: '/input', expected: 'an object' }] })
}

/** Digest of an input: the same for the same content, whatever the order of its fields. A number that a double would change counts by its text. */
export function digestOf(kind: Kind, input: unknown): string {
  return createHash('sha256')
    .update(`${kind.name} ${stringifyJson(input, true)}`)
    .digest('base64url')
}
