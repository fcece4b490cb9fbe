/** The part of a JSON Schema that says whether a value is a text. */
interface Schema {
  readonly type?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
}

/**
 * The fields of an input that `name=value` set, typed by the schema of the field: a text as it is, everything else as
 * JSON. A value that is no JSON is a text, which the hub rejects if it expects something else. Null for a text without
 * a name.
 */
export function fieldsOf(given: readonly string[], schemas: Readonly<Record<string, Schema>> = {}): Record<string, unknown> | null {
  const fields = given.map((text) => /^([^=]+)=(.*)$/s.exec(text))
  if (fields.includes(null)) return null
  return Object.fromEntries(
    fields.map((field) => {
      const [, name = '', value = ''] = field ?? []
      return [name, isText(Object.hasOwn(schemas, name) ? schemas[name] : undefined) ? value : jsonOrText(value)]
    }),
  )
}

function isText({ type, const: only, enum: some, anyOf }: Schema = {}): boolean {
  return (
    type === 'string' || typeof only === 'string' || (some ?? []).some((value) => typeof value === 'string') || (anyOf ?? []).some(isText)
  )
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
