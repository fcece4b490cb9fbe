import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { MAX_FAULTS } from './faults.js'
import { isSchema, MARK, memoized, mentions, type Schema, schemasOf, validatorOf } from './json-schema.js'

/**
 * A copy of a value with the defaults of a schema, as TypeBox fills them in. Time linear in the value: arrays above
 * `maxItems` get no defaults, and parts of the schema without defaults are skipped.
 */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (!hasDefaults(schema)) return value
  const given = value === undefined ? defaultOf(schema) : value
  // A scalar has no place for further defaults.
  if (given === null || !['object', 'undefined'].includes(typeof given)) return given
  switch (Reflect.get(schema, MARK)) {
    case 'Object':
      return isSchema(given) ? withFields(schema, given) : given
    case 'Array':
      return Array.isArray(given) ? withItems(schema, given) : given
    case 'Union':
      return withAlternative(schema, given)
    default:
      return Value.Default(schema as TSchema, structuredClone(given))
  }
}

const hasDefaults = memoized((schema) => mentions(schema, ['default']))

/** The default of a schema; a copy if it is mutable. */
function defaultOf({ default: value }: Schema): unknown {
  return typeof value === 'object' || typeof value === 'function' ? Value.Default({ default: value }, undefined) : value
}

/** The properties that have or contain defaults. */
const fieldsOf = memoized(({ properties }) =>
  Object.entries(isSchema(properties) ? properties : {}).flatMap(([name, schema]): [name: string, schema: Schema][] =>
    isSchema(schema) && hasDefaults(schema) ? [[name, schema]] : [],
  ),
)

/**
 * An object without surplus fields, if it has more than its closed schema names: it is invalid then, and copying
 * thousands of fields takes milliseconds. Enough of them remain for the faults.
 */
export function bounded<T extends object>(
  {
    properties,
    patternProperties,
    additionalProperties,
  }: { readonly [Keyword in 'properties' | 'patternProperties' | 'additionalProperties']?: unknown },
  value: T,
): T | Schema {
  if (additionalProperties !== false || patternProperties !== undefined) return value
  const known = Object.keys(Object(properties))
  const names = Object.keys(value)
  if (names.length <= known.length + MAX_FAULTS) return value
  const kept = [...known.filter((name) => Object.hasOwn(value, name)), ...names.slice(0, known.length + MAX_FAULTS)]
  return Object.fromEntries(kept.map((name) => [name, Reflect.get(value, name)]))
}

function withFields(schema: Schema, given: Schema): Schema {
  const { properties = {}, additionalProperties } = schema
  const value = bounded(schema, given)
  let filled: Record<string, unknown> | undefined
  const fill = (name: string, schema: Schema) => {
    const given = Object.hasOwn(value, name) ? value[name] : undefined
    const field = withDefaults(schema, given)
    if (field === given) return
    filled ??= { ...value }
    if (name === '__proto__') Object.defineProperty(filled, name, { value: field, enumerable: true, configurable: true, writable: true })
    else filled[name] = field
  }
  for (const [name, field] of fieldsOf(schema)) fill(name, field)
  if (isSchema(additionalProperties) && hasDefaults(additionalProperties))
    for (const name of Object.keys(value)) if (!Object.hasOwn(properties as object, name)) fill(name, additionalProperties)
  return filled ?? value
}

function withItems({ items, maxItems }: Schema, values: readonly unknown[]): readonly unknown[] {
  if (!isSchema(items) || !hasDefaults(items) || (typeof maxItems === 'number' && values.length > maxItems)) return values
  return values.map((value) => withDefaults(items, value))
}

/** The value with the defaults of the first alternative by which it is then valid. */
function withAlternative({ anyOf }: Schema, value: unknown): unknown {
  for (const schema of schemasOf(anyOf)) {
    const filled = withDefaults(schema, value)
    if (validatorOf(schema).Check(filled)) return filled
  }
  return value
}
