import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

export interface OriginsOptions {
  /** Origins of pages that may connect, beside the hub's own; empty for all. */
  readonly allowed: readonly string[]
  /** Where clients reach the hub, with the prefix of its paths; empty where that is what a request says itself. */
  readonly publicUrl: string
  /** Where the hub is mounted in another server; empty where it has a server of its own. */
  readonly prefix: string
  /** Whether a login may come by itself, as a cookie does: then pages of other origins are refused unless listed, and an empty list lets in none. */
  readonly isStrict: boolean
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** What begins the path of each link: what a proxy takes off, or where the hub is mounted. Without a slash at its end. */
    publicPath: string
    /** Whether upgrades of other pages are refused before the handshake. */
    isStrictOrigin: boolean
    /** False for a request of a page whose origin is not allowed. A request without the header `Origin` comes from no page, or from one of the hub's own. */
    mayConnectFrom(request: FastifyRequest): boolean
    /** True for a request of a page that is trusted by name: whatever a browser adds by itself, a cookie, counts only then. */
    isTrustedPage(request: FastifyRequest): boolean
  }
}

const CORS = {
  methods: ['GET', 'HEAD', 'POST', 'DELETE'],
  allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID'],
  exposedHeaders: ['Location', 'Retry-After'],
  /** Seconds for which a browser need not ask again. */
  maxAge: 600,
  strictPreflight: false,
}

/**
 * Which pages may speak to the hub from a browser, by exact origin (RFC 6454), and what a browser is told of it (CORS). The hub's own pages may always. An empty
 * list lets all in, since a token is what counts, and lets none bring a cookie.
 */
export const origins = fp(
  async (app: FastifyInstance, { allowed, publicUrl, prefix, isStrict }: OriginsOptions) => {
    const own = publicUrl === '' ? null : new URL(publicUrl)
    app.decorate('publicPath', own?.pathname.replace(/\/$/, '') ?? prefix)
    const isOwn = (request: FastifyRequest, origin: string) => {
      const { protocol, host } = app.visitorOf(request)
      return origin === (own?.origin ?? `${protocol}://${host}`)
    }
    app.decorate('isStrictOrigin', isStrict)
    app.decorate('isTrustedPage', (request: FastifyRequest) => {
      const { origin, 'sec-fetch-site': site } = request.headers
      // A browser sends no Origin with a GET of the same origin, and no page can make it send this instead (Fetch Metadata).
      if (origin === undefined) return ['GET', 'HEAD'].includes(request.method) && site === 'same-origin'
      return allowed.includes(origin) || isOwn(request, origin)
    })
    app.decorate('mayConnectFrom', (request: FastifyRequest) => {
      if (isStrict) return request.headers.origin === undefined ? mayComeWithoutOrigin(request) : app.isTrustedPage(request)
      return allowed.length === 0 || request.headers.origin === undefined || app.isTrustedPage(request)
    })
    if (allowed.length === 0 && !isStrict) return app.register(cors, { ...CORS, origin: '*' })
    await app.register(cors, {
      delegator: (request: FastifyRequest, done) => {
        const { origin } = request.headers
        if (origin === undefined || !app.isTrustedPage(request)) return done(null, { origin: false })
        done(null, { ...CORS, origin, credentials: allowed.includes(origin) })
      },
    })
  },
  { name: 'origins', dependencies: ['visitors'] },
)

/**
 * Whether a request without `Origin` may use a login that a browser adds by itself. `Sec-Fetch-Site` says whose page sends it, and no page can set it; an old
 * browser sends neither, so a write needs one of the two. A bearer token is never added by itself.
 */
function mayComeWithoutOrigin({ method, headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  const isRead = method === 'GET' || method === 'HEAD'
  if (site !== undefined) return site === 'same-origin' || (isRead && site === 'none')
  return isRead || /^bearer /i.test(headers.authorization ?? '')
}
