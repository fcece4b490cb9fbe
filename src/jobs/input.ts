import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import type { InputIssue, Kind } from '../core/kind.js'
import { Checker } from '../protocol/checker.js'
import { RuncastError } from '../protocol/codes.js'
import { asPlainJson, ExactNumber, stringifyJson } from '../protocol/json.js'

/** One per kind, created on first use. */
const checkers = new WeakMap<Kind, Checker<TSchema>>()

/** Checks an input that its kind accepts against the configuration of this process. */
export type InputCheck = (input: unknown) => readonly InputIssue[]

/**
 * Fills in the defaults of an input and checks it. The result may share parts with `input`. `solvers`: the configured
 * solvers. `check`: runs last. Throws `invalid` with the path of each faulty field and the expected value, also for a
 * number that a double cannot hold.
 */
export function normaliseInput<I>(
  kind: Kind & { readonly '~input'?: I },
  input: unknown,
  solvers: readonly string[] = [],
  check?: InputCheck,
): I {
  const checker = checkerOf(kind)
  const filled = checker.fill(asPlainJson(input, '/input', 'double'))
  if (!checker.check(filled)) throw new RuncastError('invalid', { issues: checker.faults(filled, '/input') })
  const issues = kind.inputIssues(filled, solvers)
  if (issues.length > 0) throw new RuncastError('invalid', { issues })
  const further = check?.(filled) ?? []
  if (further.length > 0) throw new RuncastError('invalid', { issues: further })
  return filled as I // the checker of this kind has said so
}

function checkerOf(kind: Kind): Checker<TSchema> {
  const known = checkers.get(kind)
  if (known) return known
  const checker = new Checker<TSchema>(kind.input)
  checkers.set(kind, checker)
  return checker
}

/**
 * The input of a configured solver. Only the solver knows its content, so numbers keep their text. Throws `invalid` for
 * a value that is not an object, or that JSON cannot hold.
 */
export function objectOf(input: unknown): object {
  const plain = asPlainJson(input, '/input', 'exact')
  if (typeof plain === 'object' && plain !== null && !Array.isArray(plain) && !(plain instanceof ExactNumber)) return plain
  throw new RuncastError('invalid', { issues: [{ path: '/input', expected: 'an object' }] })
}

/**
 * Digest of an input. It depends on the content, not on the order of the fields. A number that a double would change is
 * digested by its text.
 */
export function digestOf(kind: Kind, input: unknown): string {
  return createHash('sha256')
    .update(`${kind.name} ${stringifyJson(input, true)}`)
    .digest('base64url')
}
