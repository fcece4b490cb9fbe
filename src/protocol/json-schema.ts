import Type, { type TNull, type TObject, type TSchema, type TSchemaOptions, type TUnion } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { isUnique } from './unique.js'

/** The property by which TypeBox marks its schemas. It fills in defaults only in schemas that have it. */
export const MARK = '~kind'
const MARKS: readonly [mark: string, isIt: (schema: Schema) => boolean][] = [
  ['Object', ({ type, properties }) => type === 'object' && isSchema(properties)],
  ['Array', ({ type, items }) => type === 'array' && isSchema(items)],
  ['Union', ({ anyOf }) => Array.isArray(anyOf)],
]

/** A schema that also accepts null. */
export function Nullable<T extends TSchema>(schema: T, options?: TSchemaOptions): TUnion<[T, TNull]> {
  return Type.Union([schema, Type.Null()], options)
}

/** A JSON Schema, or any other object except an array. */
export type Schema = Readonly<Record<string, unknown>>

/** Whether the value is a JSON Schema of an object with properties, by TypeBox or plain. */
export function isObjectSchema(schema: unknown): schema is Schema {
  return isSchema(schema) && schema.type === 'object' && isSchema(schema.properties)
}

/** A JSON Schema as a TypeBox schema: a plain one is copied and marked; its JSON stays the same. */
export function asTypeBox(schema: object): TObject {
  return marked(schema as Schema) as unknown as TObject // of an object, and marked
}

function marked(schema: Schema): Schema {
  if (MARK in schema) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, markedIn(keyword, value)]))
  const [mark] = MARKS.find(([, isIt]) => isIt(schema)) ?? []
  return mark === undefined ? copy : Object.defineProperty(copy, MARK, { value: mark })
}

/** The value of a keyword, with its schemas marked. */
function markedIn(keyword: string, value: unknown): unknown {
  if (keyword === 'properties' && isSchema(value))
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, isSchema(field) ? marked(field) : field]))
  if (keyword === 'items' && isSchema(value)) return marked(value)
  if (keyword === 'anyOf' && Array.isArray(value)) return value.map((member) => (isSchema(member) ? marked(member) : member))
  return value
}

export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The schemas in the value of `allOf`, `anyOf` or `oneOf`. */
export function schemasOf(value: unknown): readonly Schema[] {
  return Array.isArray(value) ? value.filter(isSchema) : []
}

/** Caches a property of a schema for as long as the schema exists. */
export function memoized<T>(answer: (schema: Schema) => T): (schema: Schema) => T {
  const answers = new WeakMap<Schema, { readonly value: T }>()
  return (schema) => {
    let known = answers.get(schema)
    if (!known) {
      known = { value: answer(schema) }
      answers.set(schema, known)
    }
    return known.value
  }
}

/** Whether a schema contains one of these keywords at any depth. */
export function mentions(schema: unknown, keywords: readonly string[]): boolean {
  if (Array.isArray(schema)) return schema.some((member) => mentions(member, keywords))
  return isSchema(schema) && Object.entries(schema).some(([name, value]) => keywords.includes(name) || mentions(value, keywords))
}

/** Keywords whose value is data, not a schema. */
const DATA: readonly string[] = ['default', 'const', 'enum', 'examples']

/**
 * A copy without these keywords, with the hidden properties of TypeBox. `uniqueItems` is replaced by a check in linear
 * time.
 */
export function without(schema: Schema, keywords: readonly string[]): Schema {
  const copy = Object.create(Object.getPrototypeOf(schema), Object.getOwnPropertyDescriptors(schema)) as Record<string, unknown>
  for (const [keyword, value] of Object.entries(schema)) {
    if (keywords.includes(keyword)) delete copy[keyword]
    else if (keyword === 'uniqueItems' && value === true) {
      delete copy[keyword]
      Object.assign(copy, UNIQUE)
    } else if (!DATA.includes(keyword)) copy[keyword] = linear(value)
  }
  return copy
}

function linear(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(linear)
  return isPlain(value) ? without(value, []) : value
}

/** Whether the value is a plain object, and not a regular expression, for example. */
function isPlain(value: unknown): value is Schema {
  return isSchema(value) && Object.getPrototypeOf(value) === Object.prototype
}

/** `uniqueItems` that stops at the first duplicate. TypeBox hashes all items, and its errors take quadratic time. */
const UNIQUE: Schema = {
  '~refine': [{ check: (value: unknown) => !Array.isArray(value) || isUnique(value), error: () => 'must not have duplicate items' }],
}

/** The validator of a schema, compiled at the first use. Throws for a schema that cannot be compiled. */
export const validatorOf: (schema: Schema) => Validator = memoized((schema) => {
  return Compile((mentions(schema, ['uniqueItems']) ? without(schema, []) : schema) as TSchema)
})
