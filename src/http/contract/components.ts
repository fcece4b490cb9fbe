import type { TSchema } from 'typebox'
import { isSchema, type Schema } from '../../protocol/json-schema.js'

/** Keywords whose values are data and no schemas. */
export const DATA: readonly string[] = ['default', 'const', 'enum', 'example', 'examples']

/**
 * Schemas with a title, each once, for a document that refers to them. Of two different schemas with the same title the
 * second stays in place.
 */
export class Components {
  readonly #base: string
  readonly #schemas = new Map<string, { readonly text: string; schema: Schema }>()

  /** `base` begins each reference: `#/components/schemas/`. */
  constructor(base: string) {
    this.#base = base
  }

  get schemas(): Readonly<Record<string, Schema>> {
    return Object.fromEntries([...this.#schemas].map(([name, { schema }]) => [name, schema]))
  }

  /** A TypeBox schema as plain JSON, with references. */
  refer(schema: TSchema): unknown {
    return this.move(JSON.parse(JSON.stringify(schema)))
  }

  /**
   * A copy of plain JSON in which each schema with a title is a reference. `replace` may replace other values before
   * that.
   */
  move(value: unknown, replace: (value: Schema, inside: (value: Schema) => Schema) => Schema | null = () => null): unknown {
    if (Array.isArray(value)) return value.map((item) => this.move(item, replace))
    if (!isSchema(value)) return value
    const inside = (schema: Schema): Schema => {
      const parts = Object.entries(plain(schema)).map(([name, part]) => [name, DATA.includes(name) ? part : this.move(part, replace)])
      return Object.fromEntries(parts)
    }
    const { title } = value
    if (typeof title !== 'string' || !/^[A-Z][A-Za-z0-9]*$/.test(title)) return replace(value, inside) ?? inside(value)
    const text = JSON.stringify(value)
    const known = this.#schemas.get(title)
    if (known && known.text !== text) return inside(value)
    if (!known) {
      const entry = { text, schema: value }
      // Its place comes before that of its parts.
      this.#schemas.set(title, entry)
      entry.schema = inside(value)
    }
    return { $ref: `${this.#base}${title}` }
  }
}

/** A schema as generators of clients like it: enums with a type, maps without a pattern, no union of one. */
function plain(schema: Schema): Schema {
  const { patternProperties, ...rest } = schema
  const { anyOf, ...common } = schema
  if (Array.isArray(anyOf) && anyOf.length === 1) return plain({ ...anyOf[0], ...common })
  const isMap = isSchema(patternProperties) && Object.keys(patternProperties).join() === '^.*$'
  const isText = Array.isArray(schema.enum) && schema.enum.every((value) => typeof value === 'string')
  return {
    ...(isText && { type: 'string' }),
    ...(isMap ? { ...rest, additionalProperties: patternProperties['^.*$'] } : schema),
  }
}
