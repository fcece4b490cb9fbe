import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { RuncastError } from '../protocol/codes.js'
import { answerRaw } from './plugins/raw-answer.js'
import type { Visitor } from './plugins/visitors.js'

/** When a client may ask again for a socket that a hub does not open since it closes. */
const RETRY_AFTER_MS = 5000

/** A request as Express hands it on: it has taken the path of its own `app.use` off `url`. Fastify writes `originalUrl`. */
export type RoutedRequest = IncomingMessage & { readonly baseUrl?: string; originalUrl?: string }

/**
 * A hub below a path of another server. The server passes on the requests for the path. The hub answers them with a
 * Fastify instance of its own, which never listens. Hooks, parsers, headers and error pages of the two do not mix.
 */
export class Mount {
  readonly prefix: string
  readonly #visitors = new WeakMap<IncomingMessage, Visitor>()
  #app: FastifyInstance | undefined

  /** `prefix`: begins with a slash and ends with none; empty for a hub that has all paths. Throws a TypeError where it is neither. */
  constructor(prefix: string) {
    if (!/^(\/[^\s/?#]+)*$/.test(prefix)) throw new TypeError(`prefix: expected a path such as /runcast, not ${JSON.stringify(prefix)}`)
    this.prefix = prefix
  }

  /** The instance that answers; it is ready. */
  serve(app: FastifyInstance): void {
    this.#app = app
  }

  /** What the other server knows of the sender of a request. */
  visitorOf(request: IncomingMessage): Visitor | undefined {
    return this.#visitors.get(request)
  }

  /** Whether a request is for the hub. */
  has(request: RoutedRequest): boolean {
    const { pathname } = pathOf(request)
    return pathname === this.prefix || pathname.startsWith(`${this.prefix}/`)
  }

  /** A middleware of Express and its like: answers what is for the hub, and calls `next` for all else. It goes before parsers of bodies. */
  readonly middleware = (request: RoutedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    if (!this.has(request)) return next()
    const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
    if (hasBody && request.readableDidRead) return next(new Error('the hub must come before parsers of bodies: this body was read already'))
    this.handle(request, response)
  }

  /** Answers a request. Its body has not been read yet. */
  handle(request: RoutedRequest, response: ServerResponse, visitor?: Visitor): void {
    this.#route(request, visitor, (app) => app.routing(request, response))
  }

  /** Answers an upgrade, with a socket or an error. False for one that is not for the hub, which it does not touch. */
  upgrade(request: RoutedRequest, socket: Duplex, head: Buffer, visitor?: Visitor): boolean {
    if (!this.has(request)) return false
    const isTaken = this.#route(request, visitor, (app) => app.server.emit('upgrade', request, socket, head))
    // A hub that drains listens no more.
    if (!isTaken) answerRaw(socket, new RuncastError('restart', { retryAfterMs: RETRY_AFTER_MS }))
    return true
  }

  /** Routes with the path below the prefix. The other server finds the request as it was: its hooks may look at it when it is answered. */
  #route<T>(request: RoutedRequest, visitor: Visitor | undefined, route: (app: FastifyInstance) => T): T {
    if (!this.#app) throw new Error('This hub is not ready.')
    if (visitor) this.#visitors.set(request, visitor)
    const { url, originalUrl } = request
    const { pathname, query } = pathOf(request)
    request.url = `${pathname.slice(this.prefix.length) || '/'}${query}`
    try {
      return route(this.#app)
    } finally {
      if (url !== undefined) request.url = url
      if (originalUrl === undefined) delete request.originalUrl
      else request.originalUrl = originalUrl
    }
  }
}

function pathOf({ url = '/', baseUrl = '' }: RoutedRequest): { pathname: string; query: string } {
  const full = `${baseUrl}${url}`
  const at = full.indexOf('?')
  return at < 0 ? { pathname: full, query: '' } : { pathname: full.slice(0, at), query: full.slice(at) }
}
