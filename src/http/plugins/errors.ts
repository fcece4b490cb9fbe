import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RuncastError } from '../../protocol/codes.js'
import { errorBodyOf, PROBLEM_TYPE, problemOf } from '../../protocol/error-body.js'
import { hasBody } from '../has-body.js'
import { varyByAccept, wantsProblem } from '../routes/negotiate.js'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyRequest {
    /** The path below the hub's prefix. `url` holds it only while the request is routed. */
    pathname: string
  }
}

/**
 * Maps every thrown value to an error response from the table of codes. Internal errors are logged, and their text is
 * not sent to the client.
 */
export const errors = fp(
  async (app: FastifyInstance) => {
    let isClosing = false
    app.addHook('preClose', async () => {
      isClosing = true
    })
    app.addHook('onRequest', (_request, _reply, done) => {
      done(isClosing ? new RuncastError('overloaded', 'This hub is closing; another hub answers.') : undefined)
    })
    // Many HTTP libraries send a content type without a body. It is ignored on routes that read none.
    app.decorateRequest('pathname', '')
    app.addHook('onRequest', (request, _reply, done) => {
      const { raw, routeOptions } = request
      request.pathname = request.url.split('?', 1)[0] ?? ''
      if (!hasBody(raw) && routeOptions.schema?.body === undefined) delete raw.headers['content-type']
      done()
    })
    const methods = knownMethods(app)
    const unrouted = ({ method, pathname }: FastifyRequest, reply: FastifyReply): RuncastError => {
      const allowed = methods(pathname)
      if (allowed.length === 0 || allowed.includes(method)) return new RuncastError('no_route')
      void reply.header('allow', allowed.join(', '))
      return new RuncastError('method_not_allowed')
    }
    app.setErrorHandler((error: FastifyError | RuncastError, request, reply) => {
      // Fastify looks at the body of a request before it finds that there is no route for it.
      const isUnrouted = request.is404 && !(error instanceof RuncastError)
      const failure = isUnrouted ? unrouted(request, reply) : toRuncastError(error)
      app.tally.refusals.add(failure.code)
      if (failure.code === 'internal') request.log.error(error)
      const { retryAfterMs } = failure
      if (retryAfterMs !== undefined) void reply.header('retry-after', String(Math.max(Math.ceil(retryAfterMs / 1000), 1)))
      else if (failure.status === 503 && !reply.hasHeader('retry-after')) void reply.header('retry-after', '1')
      if (failure.status === 401) void reply.header('www-authenticate', 'Bearer')
      return answer(request, reply, failure)
    })
    // Node's own response to this has no body.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return done()
      void reply.header('connection', 'close')
      done(new RuncastError('bad_request', 'The Host header is missing; HTTP/1.1 requires it.'))
    })
    app.setNotFoundHandler((request, reply) => {
      const failure = unrouted(request, reply)
      app.tally.refusals.add(failure.code)
      return answer(request, reply, failure)
    })
  },
  { name: 'errors', dependencies: ['counting'] },
)

/**
 * Returns a function that lists the methods of the routes at a path. It knows the routes that are registered after this
 * call.
 */
function knownMethods(app: FastifyInstance): (path: string) => string[] {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The route for all preflights.
    if (url.includes('*')) return
    const pattern = url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
    routes.push({ pattern: new RegExp(`^${pattern}$`), methods: [method].flat() })
  })
  return (path) => [...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))].toSorted()
}

/** Sends an error in the form that the client requests: `ErrorBody`, or RFC 9457. */
function answer(request: FastifyRequest, reply: FastifyReply, failure: RuncastError): FastifyReply {
  varyByAccept(reply)
  void reply.code(failure.status)
  if (!wantsProblem(request)) return reply.send(errorBodyOf(failure, request.id))
  return reply.type(PROBLEM_TYPE).send(JSON.stringify(problemOf(failure, request.id)))
}

function toRuncastError(error: FastifyError | RuncastError): RuncastError {
  if (error instanceof RuncastError) return error
  if (error.statusCode === 413) return new RuncastError('too_big')
  if (error.statusCode === 415) return new RuncastError('unsupported_type')
  if (error.statusCode && error.statusCode < 500) return new RuncastError('bad_request', error.message)
  return new RuncastError('internal')
}
