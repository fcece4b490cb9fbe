import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

export interface OriginsOptions {
  /** Origins of pages that may connect besides the hub's own; empty for all. */
  readonly allowed: readonly string[]
  /** The URL at which clients reach the hub, with the prefix of its paths. Empty to use the address of each request. */
  readonly publicUrl: string
  /** The path at which the hub is mounted in another server; empty if it has its own. */
  readonly prefix: string
  /**
   * Whether browsers may send the login by themselves, as a cookie. Then other origins are rejected unless listed, also
   * with an empty list.
   */
  readonly isStrict: boolean
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** Prefix of each link: the path that a proxy removes, or the mount path. Without a trailing slash. */
    publicPath: string
    /** Whether upgrades from other origins are rejected before the handshake. */
    isStrictOrigin: boolean
    /**
     * False for a request from a page whose origin is not allowed. A request without `Origin` is not from a page of
     * another origin.
     */
    mayConnectFrom(request: FastifyRequest): boolean
    /**
     * True for a request from an explicitly trusted page. Only then is a cookie accepted, since browsers add it by
     * themselves.
     */
    isTrustedPage(request: FastifyRequest): boolean
  }
}

const CORS = {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  allowedHeaders: [
    'Authorization',
    'Content-Type',
    'Idempotency-Key',
    'If-None-Match',
    'If-Range',
    'Last-Event-ID',
    'Range',
    'Traceparent',
    'X-Request-Id',
  ],
  exposedHeaders: ['Content-Disposition', 'Content-Range', 'ETag', 'Location', 'Retry-After', 'X-Request-Id'],
  /** Seconds for which a browser caches the preflight response. */
  maxAge: 600,
  strictPreflight: false,
}

/**
 * Which pages may use the hub from a browser, by exact origin (RFC 6454), with the matching CORS headers. The hub's own
 * pages always may. With an empty list, all pages may connect with a token, and none with a cookie.
 */
export const origins = fp(
  async (app: FastifyInstance, { allowed, publicUrl, prefix, isStrict }: OriginsOptions) => {
    const own = urlOf(publicUrl)
    app.decorate('publicPath', own?.pathname.replace(/\/$/, '') ?? prefix)
    const isOwn = (request: FastifyRequest, origin: string) => {
      const { protocol, host } = app.visitorOf(request)
      return origin === (own ?? urlOf(`${protocol}://${host}`))?.origin
    }
    app.decorate('isStrictOrigin', isStrict)
    app.decorate('isTrustedPage', (request: FastifyRequest) => {
      const { origin, 'sec-fetch-site': site } = request.headers
      // A browser omits `Origin` in GET requests of the same origin. Pages cannot set `Sec-Fetch-Site` (Fetch
      // Metadata).
      if (origin === undefined) return ['GET', 'HEAD'].includes(request.method) && site === 'same-origin'
      return allowed.includes(origin) || isOwn(request, origin)
    })
    app.decorate('mayConnectFrom', (request: FastifyRequest) => {
      if (isStrict) return request.headers.origin === undefined ? mayConnectWithoutOrigin(request) : app.isTrustedPage(request)
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

/** Why a request may not connect, for its sender. */
export function whyNotFrom({ headers: { origin, 'sec-fetch-site': site = 'none' } }: FastifyRequest): string {
  const isFromPage = origin !== undefined || site !== 'none'
  return isFromPage
    ? 'Pages of this origin may not connect.'
    : 'The header Origin is missing: with a cookie, it must be the origin of this server.'
}

/** Null for any other text. A proxy may add the default port to `Host`; an origin never has it. */
function urlOf(text: string): URL | null {
  return /^https?:/.test(text) && URL.canParse(text) ? new URL(text) : null
}

/**
 * Whether a request without `Origin` may use a login that the browser adds by itself. `Sec-Fetch-Site` names the
 * relation to the sending page, and pages cannot set it. Old browsers send neither header, so writes require one of
 * them. A bearer token is never added by the browser itself.
 */
function mayConnectWithoutOrigin({ method, headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  const isRead = method === 'GET' || method === 'HEAD'
  if (site !== undefined) return site === 'same-origin' || (isRead && site === 'none')
  return isRead || /^bearer /i.test(headers.authorization ?? '')
}
