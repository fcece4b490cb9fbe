import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import Value from 'typebox/value'

/** Validates what comes in by the TypeBox schemas: defaults filled in, texts of query and path converted. Answers keep their shape by their types. */
export const validation = fp(
  async (app: FastifyInstance) => {
    const compiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
      const validator = Compile(schema)
      const converts = httpPart !== 'body'
      return (data: unknown) => {
        const filled = Value.Default(schema, converts ? Value.Convert(schema, data ?? {}) : data)
        if (validator.Check(filled)) return { value: filled }
        // Fastify wants an error that carries its faults in `validation`.
        return { error: [...validator.Errors(filled)] as unknown as Error }
      }
    }
    app.setValidatorCompiler(compiler)
    app.setSerializerCompiler(() => JSON.stringify)
  },
  { name: 'validation' },
)
