import type { Static, TSchema } from 'typebox'
import type { Validator } from 'typebox/compile'
import Value from 'typebox/value'
import { withDefaults } from './defaults.js'
import { describeFaults, MAX_FAULTS, pointerPart, type SchemaFault } from './faults.js'
import { isSchema, memoized, mentions, type Schema, schemasOf, validatorOf, without } from './json-schema.js'

/**
 * Checks untrusted values against a schema. All methods take time linear in the value, and arrays above `maxItems` are
 * not searched. TypeBox's own `Errors` evaluates all keywords of all values.
 */
export class Checker<T extends TSchema> {
  readonly schema: T
  readonly #validator: Validator

  /** Throws for a schema that cannot be compiled, such as one with an invalid pattern. */
  constructor(schema: T) {
    this.schema = schema
    this.#validator = validatorOf(schema as Schema)
  }

  /** A copy of the value with the defaults of the schema. */
  fill(value: unknown): unknown {
    return withDefaults(this.schema as Schema, value)
  }

  check(value: unknown): value is Static<T> {
    return this.#validator.Check(value)
  }

  /** The first fault of an invalid value, as TypeBox words it. */
  first(value: unknown): SchemaFault | undefined {
    return this.#search(value).faults[0]
  }

  /** At most `MAX_FAULTS` faults of an invalid value, each with its path below `base`. */
  faults(value: unknown, base = ''): { path: string; expected: string }[] {
    return describeFaults(this.#search(value).faults, base)
  }

  #search(value: unknown): FaultSearch {
    const search = new FaultSearch()
    search.look(this.schema as Schema, value, '')
    return search
  }
}

/** Descends into the invalid parts of a value only. */
class FaultSearch {
  readonly faults: SchemaFault[] = []

  /** Collects the faults of a value that is invalid by this schema. */
  look(schema: Schema, value: unknown, path: string): void {
    const before = this.faults.length
    const { maxItems, maxProperties } = schema
    if (Array.isArray(value) && typeof maxItems === 'number' && value.length > maxItems)
      return this.#add({ keyword: 'maxItems', instancePath: path, message: `must not have more than ${maxItems} items` })
    if (isSchema(value) && typeof maxProperties === 'number' && Object.keys(value).length > maxProperties)
      return this.#add({ keyword: 'maxProperties', instancePath: path, message: `must not have more than ${maxProperties} properties` })
    for (const fault of Value.Errors(ownKeywords(schema), value)) this.#add({ ...fault, instancePath: path + fault.instancePath })
    if (refers(schema)) return
    if (Array.isArray(value)) this.#items(schema, value, path)
    else if (isSchema(value)) this.#fields(schema, value, path)
    this.#alternatives(schema, value, path)
    if (this.faults.length > before) return
    this.#add({ keyword: 'valid', instancePath: path, message: 'must be valid' })
  }

  get #isFull(): boolean {
    return this.faults.length >= MAX_FAULTS
  }

  #add(fault: SchemaFault): void {
    if (!this.#isFull) this.faults.push(fault)
  }

  #items({ items }: Schema, values: readonly unknown[], path: string): void {
    if (!isSchema(items)) return
    const validator = validatorOf(items)
    for (const [i, value] of values.entries()) {
      if (this.#isFull) return
      if (!validator.Check(value)) this.look(items, value, `${path}/${i}`)
    }
  }

  #fields(schema: Schema, value: Schema, path: string): void {
    for (const name of Object.keys(value)) {
      if (this.#isFull) return
      const field = value[name]
      for (const own of fieldSchemasOf(schema, name)) {
        if (own === false) this.#add({ keyword: 'additionalProperties', instancePath: path, params: { additionalProperties: [name] } })
        else if (isSchema(own) && !validatorOf(own).Check(field)) this.look(own, field, `${path}/${pointerPart(name)}`)
      }
    }
  }

  #alternatives({ allOf, anyOf, oneOf }: Schema, value: unknown, path: string): void {
    for (const schema of schemasOf(allOf)) if (!validatorOf(schema).Check(value)) this.look(schema, value, path)
    for (const any of [schemasOf(anyOf), schemasOf(oneOf)]) {
      if (any.some((schema) => validatorOf(schema).Check(value))) continue
      const likely = any.filter((schema) => isOfType(schema, value))
      for (const schema of likely.length > 0 ? likely : any) if (!this.#isFull) this.look(schema, value, path)
    }
  }
}

/** Whether an alternative of `anyOf` matches the type of the value. */
function isOfType({ type }: Schema, value: unknown): boolean {
  return typeof type !== 'string' || Value.Check({ type }, value)
}

/** The schemas that apply to one field. */
function fieldSchemasOf(schema: Schema, name: string): readonly unknown[] {
  const { properties, additionalProperties } = schema
  const own = isSchema(properties) && Object.hasOwn(properties, name) ? [properties[name]] : []
  const schemas = [...own, ...patternsOf(schema).flatMap(({ pattern, schema }) => (pattern.test(name) ? [schema] : []))]
  return schemas.length > 0 ? schemas : [additionalProperties]
}

/** Keywords that the search descends into. */
const SEARCHED: readonly string[] = [
  'properties',
  'patternProperties',
  'additionalProperties',
  'items',
  'maxItems',
  'maxProperties',
  'allOf',
  'anyOf',
  'oneOf',
]
/** Whether a schema contains references, so that its parts cannot be checked separately. */
const refers = memoized((schema) => mentions(schema, ['$ref', '$dynamicRef', '$recursiveRef', 'unevaluatedItems', 'unevaluatedProperties']))

/** A schema without the keywords that the search descends into; unchanged if it contains references. */
const ownKeywords = memoized((schema): TSchema => {
  const searched = SEARCHED.filter((keyword) => keyword !== 'items' || isSchema(schema.items))
  return without(schema, refers(schema) ? [] : searched)
})

/** The compiled patterns of `patternProperties`, with their schemas. */
const patternsOf = memoized(({ patternProperties }) => {
  const patterns = isSchema(patternProperties) ? Object.entries(patternProperties) : []
  return patterns.map(([pattern, schema]) => ({ pattern: new RegExp(pattern, 'u'), schema }))
})
