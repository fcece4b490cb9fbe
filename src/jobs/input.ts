import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import { type InputOf, KINDS, type Kind, type KindName } from '../core/kinds.js'
import { Checker } from '../protocol/checker.js'
import { RuncastError } from '../protocol/codes.js'
import { asPlainJson, ExactNumber, stringifyJson } from '../protocol/json.js'

const checkers = new Map<KindName, Checker<TSchema>>()

/**
 * An input with its defaults, checked; what was given may be a part of it. `solvers`: those that are configured. Throws `invalid` with the path of each faulty
 * field and what is expected there, also for a number that a double cannot hold.
 */
export function normaliseInput<K extends KindName>(kind: K, input: unknown, solvers: readonly string[] = []): InputOf<K> {
  const checker = checkerOf(kind)
  const filled = checker.fill(asPlainJson(input, '/input', 'double'))
  if (!checker.check(filled)) throw new RuncastError('invalid', { issues: checker.faults(filled, '/input') })
  const valid = filled as InputOf<K> // the checker of this kind has just said so
  const { inputFaults }: Kind = KINDS[kind]
  const faults = inputFaults(valid, solvers)
  if (faults.length > 0) throw new RuncastError('invalid', { issues: faults })
  return valid
}

/** Compiled when it is first asked for: kinds may be added. */
function checkerOf(kind: KindName): Checker<TSchema> {
  const known = checkers.get(kind)
  if (known) return known
  const checker = new Checker<TSchema>(KINDS[kind].input)
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
export function digestOf(kind: KindName, input: unknown): string {
  return createHash('sha256')
    .update(`${kind} ${stringifyJson(input, true)}`)
    .digest('base64url')
}
