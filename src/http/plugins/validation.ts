import type { FastifyInstance, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import { Checker } from '../../protocol/checker.js'
import { RuncastError } from '../../protocol/codes.js'
import { asPlainJson, NestedTooDeep, parseJson } from '../../protocol/json.js'

/**
 * Parses and validates requests: bodies by the one JSON parser, then each part by its TypeBox schema, with defaults
 * filled in and integers of query and path converted. Responses are not validated; their types ensure their shape.
 */
export const validation = fp(
  async (app: FastifyInstance) => {
    app.removeContentTypeParser(['application/json', 'text/plain'])
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => readBody(body))
    app.setValidatorCompiler(compileSchema)
    app.setSerializerCompiler(() => JSON.stringify)
  },
  { name: 'validation' },
)

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The value of a JSON body; undefined if it is empty. Throws `bad_request` if it is not JSON in UTF-8, and `invalid`
 * for NaN and for nesting that is too deep.
 */
function readBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  try {
    return parseJson(decoder.decode(body))
  } catch (error) {
    if (error instanceof NestedTooDeep) throw new RuncastError('invalid', `The body is ${error.message}.`)
    // TypeError comes from the decoder, SyntaxError from the parser; both may quote characters of the body.
    if (error instanceof TypeError) throw new RuncastError('bad_request', 'The body is not valid UTF-8.')
    if (error instanceof SyntaxError) throw new RuncastError('bad_request', `The body is not JSON: ${error.message}`)
    throw error
  }
}

/** Returns a validator for one part of a request. Its error is a `RuncastError`. */
export const compileSchema: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  return httpPart === 'body' ? bodyValidator(schema) : textsValidator(schema, `/${httpPart}`)
}

type Validate = (data: unknown) => { value: unknown } | { error: RuncastError }

/** Returns a validator for bodies. `exact`: a field whose numbers keep their original text, for a later check. */
export function bodyValidator(schema: TSchema, exact?: string): Validate {
  const checker = new Checker(schema)
  return (data) => {
    try {
      return validated(checker, exact === undefined ? asPlainJson(data, '', 'double') : plainBut(data, exact), '')
    } catch (error) {
      if (error instanceof RuncastError) return { error }
      throw error
    }
  }
}

/** Returns a validator for the strings of a query, a path or headers. */
function textsValidator(schema: TSchema, at: string): Validate {
  const checker = new Checker(schema)
  return (data) => validated(checker, withIntegers(schema, { ...(data as object) }), at)
}

function validated(checker: Checker<TSchema>, data: unknown, at: string): ReturnType<Validate> {
  const filled = checker.fill(data)
  return checker.check(filled) ? { value: filled } : { error: new RuncastError('invalid', { issues: checker.faults(filled, at) }) }
}

function plainBut(data: unknown, exact: string): unknown {
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, exact)) return asPlainJson(data, '', 'double')
  const { [exact]: kept, ...rest } = data as Record<string, unknown>
  return { ...(asPlainJson(rest, '', 'double') as object), [exact]: kept }
}

/**
 * Converts strings to integers where the schema has an integer. Strings such as `1.9`, `true` and the empty string are
 * not converted.
 */
function withIntegers(schema: TSchema, texts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const properties = Type.IsObject(schema) ? schema.properties : {}
  const isRead = (name: string, text: unknown) => Type.IsInteger(properties[name]) && typeof text === 'string' && /^-?[0-9]+$/.test(text)
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, isRead(name, text) ? Number(text) : text]))
}
