import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { MAX_FAULTS } from './faults.js'
import { isSchema, MARK, memoized, mentions, type Schema, schemasOf, validatorOf } from './json-schema.js'

/**
 * A value with the defaults of a schema, as TypeBox fills them in; the value itself is left as it was. An array that is too long gets none, and a part of the
 * schema without a default costs nothing, so the time is linear in the value.
 */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (!hasDefaults(schema)) return value
  const given = value === undefined ? defaultOf(schema) : value
  // There is no place in it for another default.
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

/** The default of a schema; of one that can be changed a copy. */
function defaultOf({ default: value }: Schema): unknown {
  return typeof value === 'object' || typeof value === 'function' ? Value.Default({ default: value }, undefined) : value
}

/** The named fields in which there are defaults. */
const fieldsOf = memoized(({ properties }) =>
  Object.entries(isSchema(properties) ? properties : {}).flatMap(([name, schema]): [name: string, schema: Schema][] =>
    isSchema(schema) && hasDefaults(schema) ? [[name, schema]] : [],
  ),
)

/**
 * As much of an object as its faults need, where it has more fields than its closed schema has names: it cannot be valid then, and a copy of thousands of fields
 * costs milliseconds.
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

/** Filled in by the first alternative that it is then valid by. */
function withAlternative({ anyOf }: Schema, value: unknown): unknown {
  for (const schema of schemasOf(anyOf)) {
    const filled = withDefaults(schema, value)
    if (validatorOf(schema).Check(filled)) return filled
  }
  return value
}
