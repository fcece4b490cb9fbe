import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import Value from 'typebox/value'
import { Refusal } from '../protocol/codes.js'
import { describeFaults } from '../protocol/faults.js'
import { type InputOf, KINDS, type Kind, type KindName } from '../protocol/kinds.js'

const validators = new Map<KindName, Validator>()

/** Fills in the defaults and checks an input; `solvers`: those that are configured. Throws `invalid` with the path of each faulty field and what is expected there. */
export function normaliseInput<K extends KindName>(kind: K, input: unknown, solvers: readonly string[] = []): InputOf<K> {
  const filled: unknown = Value.Default(KINDS[kind].input, structuredClone(input))
  const validator = validatorOf(kind)
  if (!validator.Check(filled)) throw new Refusal('invalid', undefined, describeFaults(validator.Errors(filled), '/input'))
  const valid = filled as InputOf<K> // the validator of this kind has just said so
  const { inputFaults }: Kind = KINDS[kind]
  const faults = inputFaults(valid, solvers)
  if (faults.length > 0) throw new Refusal('invalid', undefined, faults)
  return valid
}

/** Compiled when it is first asked for: kinds may be added. */
function validatorOf(kind: KindName): Validator {
  const known = validators.get(kind)
  if (known) return known
  const validator = Compile<TSchema>(KINDS[kind].input)
  validators.set(kind, validator)
  return validator
}

/** The input of a configured solver, which alone knows what is in it. Throws `invalid` for what is no object. */
export function objectOf(input: unknown): object {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input
  throw new Refusal('invalid', undefined, [{ path: '/input', expected: 'an object' }])
}

/** Digest of an input: the same for the same content, whatever the order of its fields. */
export function digestOf(kind: KindName, input: unknown): string {
  return createHash('sha256')
    .update(`${kind} ${canonical(input)}`)
    .digest('base64url')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join()}}`
}
