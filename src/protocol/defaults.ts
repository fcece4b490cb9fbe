import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { isSchema, MARK, memoized, mentions, type Schema, schemasOf, validatorOf } from './json-schema.js'

/**
 * A value with the defaults of a schema, as TypeBox fills them in; the value itself is left as it was. An array that is too long gets none, and a part of the
 * schema without a default costs nothing, so the time is linear in the value.
 */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (!hasDefaults(schema)) return value
  const given = value === undefined ? Value.Default(onlyDefault(schema), undefined) : value
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

/** A schema of anything, with the default of this one. */
const onlyDefault = memoized((schema): TSchema => ('default' in schema ? { default: schema.default } : {}))

function withFields({ properties, additionalProperties }: Schema, value: Schema): Schema {
  const known = isSchema(properties) ? properties : {}
  const filled: [name: string, field: unknown][] = []
  const fill = (name: string, schema: Schema) => {
    const given = Object.hasOwn(value, name) ? value[name] : undefined
    const field = withDefaults(schema, given)
    if (field !== given) filled.push([name, field])
  }
  for (const [name, schema] of Object.entries(known)) if (isSchema(schema)) fill(name, schema)
  if (isSchema(additionalProperties) && hasDefaults(additionalProperties))
    for (const name of Object.keys(value)) if (!Object.hasOwn(known, name)) fill(name, additionalProperties)
  return filled.length > 0 ? { ...value, ...Object.fromEntries(filled) } : value
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
