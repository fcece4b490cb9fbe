import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { CODES, type CodeName, Refusal, type StoreReason } from '../../protocol/codes.js'

/** The body of every error answer. */
export interface ErrorBody {
  readonly error: CodeName
  readonly message: string
  /** Faulty fields: JSON Pointer and what is expected there. */
  readonly detail: readonly { readonly path: string; readonly expected: string }[]
  /** Of `overloaded`, where Redis is the cause: why. */
  readonly reason?: StoreReason
}

/** Turns whatever is thrown into the one table of codes. What is no fault of the caller is logged and answered without its text. */
export const errors = fp(
  async (app: FastifyInstance) => {
    app.setErrorHandler((error: FastifyError | Refusal, request, reply) => {
      const refusal = asRefusal(error)
      app.tally.refusals.add(refusal.code)
      if (refusal.code === 'internal') request.log.error(error)
      const { retryAfterMs } = refusal
      if (retryAfterMs !== undefined) void reply.header('retry-after', String(Math.max(Math.ceil(retryAfterMs / 1000), 1)))
      else if (CODES[refusal.code].http === 503 && !reply.hasHeader('retry-after')) void reply.header('retry-after', '1')
      if (CODES[refusal.code].http === 401) void reply.header('www-authenticate', 'Bearer')
      return reply.code(CODES[refusal.code].http).send(bodyOf(refusal))
    })
    // Node's own answer to this has no body.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return done()
      void reply.header('connection', 'close')
      done(new Refusal('bad_request', 'The header Host is missing.'))
    })
    app.setNotFoundHandler((_request, reply) => {
      app.tally.refusals.add('no_route')
      return reply.code(404).send(bodyOf(new Refusal('no_route')))
    })
  },
  { name: 'errors', dependencies: ['counting'] },
)

/** What an error answer says. */
export function bodyOf(refusal: Refusal): ErrorBody {
  const { code, message, detail, reason } = refusal
  return { error: code, message, detail, ...(reason !== undefined && { reason }) }
}

function asRefusal(error: FastifyError | Refusal): Refusal {
  if (error instanceof Refusal) return error
  if (error.statusCode === 413) return new Refusal('too_big')
  if (error.statusCode && error.statusCode < 500) return new Refusal('bad_request', error.message)
  return new Refusal('internal')
}
