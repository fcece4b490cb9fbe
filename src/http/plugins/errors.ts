import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { CODES, type CodeName, RuncastError, type StoreReason } from '../../protocol/codes.js'

/** The body of every error answer. */
export interface ErrorBody {
  readonly error: CodeName
  readonly message: string
  /** Faulty fields: JSON Pointer and what is expected there. */
  readonly detail: readonly { readonly path: string; readonly expected: string }[]
  /** Of `overloaded`, where Redis is the cause: why. */
  readonly reason?: StoreReason
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyRequest {
    /** The path below the hub's prefix. `url` says that only while the request is routed. */
    pathname: string
  }
}

/** Turns whatever is thrown into the one table of codes. What is no fault of the caller is logged and answered without its text. */
export const errors = fp(
  async (app: FastifyInstance) => {
    // No body is no body, whatever the client says that it would be, where none is read: many libraries always say so.
    app.decorateRequest('pathname', '')
    app.addHook('onRequest', (request, _reply, done) => {
      const {
        raw: { headers },
        routeOptions,
      } = request
      request.pathname = request.url.split('?', 1)[0] ?? ''
      const isEmpty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
      if (isEmpty && routeOptions.schema?.body === undefined) delete headers['content-type']
      done()
    })
    app.setErrorHandler((error: FastifyError | RuncastError, request, reply) => {
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
      done(new RuncastError('bad_request', 'The header Host is missing.'))
    })
    const methods = knownMethods(app)
    app.setNotFoundHandler(({ method, pathname }, reply) => {
      const allowed = methods(pathname)
      const isWrongMethod = allowed.length > 0 && !allowed.includes(method)
      if (isWrongMethod) void reply.header('allow', allowed.join(', '))
      const refusal = new RuncastError(isWrongMethod ? 'method_not_allowed' : 'no_route')
      app.tally.refusals.add(refusal.code)
      return reply.code(CODES[refusal.code].http).send(bodyOf(refusal))
    })
  },
  { name: 'errors', dependencies: ['counting'] },
)

/** Answers the methods of the routes at a path, of those that are registered after this. */
function knownMethods(app: FastifyInstance): (path: string) => string[] {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The one that takes the preflights of all.
    if (url.includes('*')) return
    const pattern = url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
    routes.push({ pattern: new RegExp(`^${pattern}$`), methods: [method].flat() })
  })
  return (path) => [...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))].toSorted()
}

/** What an error answer says. */
export function bodyOf(refusal: RuncastError): ErrorBody {
  const { code, message, issues: detail, reason } = refusal
  return { error: code, message, detail, ...(reason !== undefined && { reason }) }
}

function asRefusal(error: FastifyError | RuncastError): RuncastError {
  if (error instanceof RuncastError) return error
  if (error.statusCode === 413) return new RuncastError('too_big')
  if (error.statusCode === 415) return new RuncastError('unsupported_type')
  if (error.statusCode && error.statusCode < 500) return new RuncastError('bad_request', error.message)
  return new RuncastError('internal')
}
