import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** False for a request of a page whose origin is not allowed. A request without the header `Origin` comes from no page. */
    mayConnectFrom(request: FastifyRequest): boolean
    /** True for a request of a page that is trusted by name: whatever a browser adds by itself, a cookie, counts only then. */
    isTrustedPage(request: FastifyRequest): boolean
  }
}

/** Which pages may speak to the hub from a browser, by exact origin (RFC 6454). An empty list lets all in, since a token is what counts, and trusts none. */
export const origins = fp(
  async (app: FastifyInstance, { allowed }: { allowed: readonly string[] }) => {
    app.decorate('isTrustedPage', ({ headers: { origin } }: FastifyRequest) => origin !== undefined && allowed.includes(origin))
    app.decorate('mayConnectFrom', (request: FastifyRequest) => {
      return allowed.length === 0 || request.headers.origin === undefined || app.isTrustedPage(request)
    })
  },
  { name: 'origins' },
)
