import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import Value from 'typebox/value'

/** Validates what comes in by the TypeBox schemas: defaults filled in, integers of query and path read. Answers keep their shape by their types. */
export const validation = fp(
  async (app: FastifyInstance) => {
    app.setValidatorCompiler(compileSchema)
    app.setSerializerCompiler(() => JSON.stringify)
  },
  { name: 'validation' },
)

/** A validator for one part of a request. */
export const compileSchema: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema)
  const readsTexts = httpPart !== 'body'
  return (data: unknown) => {
    const filled = Value.Default(schema, readsTexts ? withIntegers(schema, { ...(data as object) }) : data)
    if (validator.Check(filled)) return { value: filled }
    // Fastify wants an error that carries its faults in `validation`.
    return { error: [...validator.Errors(filled)] as unknown as Error }
  }
}

/** Texts of query or path, those that are integers as the schema wants them read. Nothing is guessed: `1.9`, `true` and nothing at all stay what they are. */
function withIntegers(schema: TSchema, texts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const properties = Type.IsObject(schema) ? schema.properties : {}
  const isRead = (name: string, text: unknown) => Type.IsInteger(properties[name]) && typeof text === 'string' && /^-?[0-9]+$/.test(text)
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, isRead(name, text) ? Number(text) : text]))
}
