import type { TObject } from 'typebox'

/** What a member of a JSON Schema is to TypeBox, which fills in defaults only in what it has marked itself. */
const MARK = '~kind'
const MARKS: readonly [mark: string, isIt: (schema: Schema) => boolean][] = [
  ['Object', ({ type, properties }) => type === 'object' && isSchema(properties)],
  ['Array', ({ type, items }) => type === 'array' && isSchema(items)],
  ['Union', ({ anyOf }) => Array.isArray(anyOf)],
]

type Schema = Readonly<Record<string, unknown>>

/** Whether it is the JSON Schema of an object with named fields, by TypeBox or plain. */
export function isObjectSchema(schema: unknown): schema is Schema {
  return isSchema(schema) && schema.type === 'object' && isSchema(schema.properties)
}

/** A JSON Schema as TypeBox takes it: one that TypeBox has made is as it was, a plain one gets marks that its JSON does not show. */
export function asTypeBox(schema: object): TObject {
  return marked(schema as Schema) as unknown as TObject // an object's, marked as one
}

function marked(schema: Schema): Schema {
  if (MARK in schema) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, markedIn(keyword, value)]))
  const [mark] = MARKS.find(([, isIt]) => isIt(schema)) ?? []
  return mark === undefined ? copy : Object.defineProperty(copy, MARK, { value: mark })
}

/** The schemas in a keyword's value. */
function markedIn(keyword: string, value: unknown): unknown {
  if (keyword === 'properties' && isSchema(value))
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, isSchema(field) ? marked(field) : field]))
  if (keyword === 'items' && isSchema(value)) return marked(value)
  if (keyword === 'anyOf' && Array.isArray(value)) return value.map((member) => (isSchema(member) ? marked(member) : member))
  return value
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
