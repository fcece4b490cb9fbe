import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type OpenSpan, openSpan } from '../../core/tracing.js'
import { asksForWebSocket } from '../other-upgrades.js'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyRequest {
    /** The span of this request; null if it is not traced. */
    span: OpenSpan | null
  }
}

/** Probes and scrapes. */
const UNTRACED: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz', '/metrics'])

/**
 * One span per request, named by the pattern of its route: a path may hold anything that a client chooses, also a
 * token. It continues the trace of the caller. A socket has none; that of a stream ends when the stream is open.
 */
export const tracing = fp(
  async (app: FastifyInstance) => {
    app.decorateRequest('span', null)
    app.addHook('onRequest', (request, reply, done) => {
      const span = spanOf(request)
      if (!span) return done()
      request.span = span
      // `close` follows every response and also a disconnect.
      reply.raw.once('close', () => endSpan(request, reply))
      span.within(done)
    })
    // The events of a body come from the connection, outside of the span.
    app.addHook('preHandler', ({ span }, _reply, done) => (span ? span.within(done) : done()))
  },
  { name: 'tracing' },
)

/** Ends the span of a request whose answer has begun or will never begin. */
export function endSpan({ span }: Pick<FastifyRequest, 'span'>, { raw }: Pick<FastifyReply, 'raw'>): void {
  if (!raw.headersSent) return span?.end({ error: 'aborted' })
  const { statusCode } = raw
  const attributes = { 'http.response.status_code': statusCode }
  span?.end({ attributes, ...(statusCode >= 500 && { error: String(statusCode) }) })
}

function spanOf({ raw, headers, method, protocol, is404, routeOptions }: FastifyRequest): OpenSpan | null {
  const route = is404 ? undefined : routeOptions.url
  if (UNTRACED.has(routeOptions.url) || asksForWebSocket(raw)) return null
  return openSpan({
    name: route === undefined ? method : `${method} ${route}`,
    kind: 'server',
    headers,
    attributes: { 'http.request.method': method, 'url.scheme': protocol, ...(route !== undefined && { 'http.route': route }) },
  })
}
