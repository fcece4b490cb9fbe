import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { RuncastError } from '../protocol/codes.js'
import { hasBody } from './has-body.js'
import { asksForWebSocket, replayAsRequest } from './other-upgrades.js'
import { answerRaw } from './plugins/raw-answer.js'
import type { Visitor } from './plugins/visitors.js'

/** Clients retry after this time if the hub is closing. */
const RETRY_AFTER_MS = 5000

/**
 * Whether a text can be the path of a hub: it begins with a slash and does not end with one, and a request can spell it
 * in one way only. Routers give `:`, `*` and `%` a meaning of their own.
 */
export function isPrefix(text: string): boolean {
  return /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~-]+)+$/.test(text)
}

/** Node sets the server that has accepted a connection. Its types do not declare that. */
type AcceptedSocket = Socket & { readonly server?: Server }

/**
 * A request as Express passes it on: the path of its own `app.use` is removed from `url`. Fastify sets `originalUrl`.
 */
export type RoutedRequest = IncomingMessage & { readonly baseUrl?: string; originalUrl?: string }

/**
 * A hub below a path of another server. The server passes on the requests for that path. The hub answers them with a
 * Fastify instance of its own, which never listens. Hooks, parsers, headers and error pages of the two stay separate.
 */
export class Mount {
  readonly prefix: string
  readonly #visitors = new WeakMap<IncomingMessage, Visitor>()
  #app: FastifyInstance | undefined

  /** `prefix` is as for `isPrefix`. An empty prefix stands for all paths. Throws a TypeError for any other value. */
  constructor(prefix: string) {
    if (prefix !== '' && !isPrefix(prefix)) throw new TypeError(`prefix: expected a path such as /runcast, got ${JSON.stringify(prefix)}`)
    this.prefix = prefix
  }

  /** Sets the instance that answers. It must be ready. */
  serve(app: FastifyInstance): void {
    this.#app = app
  }

  /** The sender of a request as the other server sees it. Undefined for a request that it did not describe. */
  visitorOf(request: IncomingMessage): Visitor | undefined {
    return this.#visitors.get(request)
  }

  /** Whether a request is for the hub: its path begins with the prefix, letter by letter. */
  has(request: RoutedRequest): boolean {
    const { pathname } = pathOf(request)
    return pathname === this.prefix || pathname.startsWith(`${this.prefix}/`)
  }

  /**
   * Middleware for Express and compatible servers: answers requests for the hub, calls `next` for all others. Register
   * it before body parsers.
   */
  readonly middleware = (request: RoutedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    if (!this.has(request)) return next()
    if (hasBody(request) && request.readableDidRead)
      return next(new Error('the body of this request was already read: register the hub before body parsers'))
    this.handle(request, response)
  }

  /** Answers a request, whose body must not have been read. */
  handle(request: RoutedRequest, response: ServerResponse, visitor?: Visitor): void {
    this.#route(request, visitor, (app) => app.routing(request, response))
  }

  /**
   * Answers an upgrade with a socket or an error, and one that is not for a WebSocket as an ordinary request. Returns
   * false, and touches nothing, if it is not for the hub.
   */
  upgrade(request: RoutedRequest, socket: Duplex, head: Buffer, visitor?: Visitor): boolean {
    if (!this.has(request)) return false
    const { server } = request.socket as AcceptedSocket
    if (server && !asksForWebSocket(request)) {
      replayAsRequest(server, request, socket, head)
      return true
    }
    const isHandled = this.#route(request, visitor, (app) => app.server.emit('upgrade', request, socket, head))
    // A draining hub has no upgrade listener.
    if (!isHandled) answerRaw(socket, new RuncastError('restart', { retryAfterMs: RETRY_AFTER_MS }))
    return true
  }

  /**
   * Routes by the path below the prefix, then restores the request: hooks of the other server may read it after the
   * answer.
   */
  #route<T>(request: RoutedRequest, visitor: Visitor | undefined, route: (app: FastifyInstance) => T): T {
    if (!this.#app) throw new Error('the hub does not handle requests yet: wait until it has started')
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

/** A request may also contain the whole URL (RFC 9112, section 3.2.2). */
function pathOf({ url = '/', baseUrl = '' }: RoutedRequest): { pathname: string; query: string } {
  const full = `${baseUrl}${url.replace(/^https?:\/\/[^/?#]*/i, '')}`
  const at = full.indexOf('?')
  return at < 0 ? { pathname: full, query: '' } : { pathname: full.slice(0, at), query: full.slice(at) }
}
