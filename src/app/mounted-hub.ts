import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { type AuthOptions, configOf, type MountSettings, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import { invalidOption } from '../core/known-options.js'
import type { Authenticate } from '../http/plugins/login.js'
import type { HubNode } from './hub-node.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'
import { asRuncastError } from './service.js'

/**
 * Options of a hub below a path of the user's own server. The settings are options as for `createHub`. `Request`: the
 * request that the server passes to `authenticate`.
 */
export interface MountOptions<Request = IncomingMessage> extends MountSettings {
  /** The path of the hub on the server, such as `/runcast`. */
  readonly prefix: string
  readonly redis: RedisOptions
  /** The kinds that the hub serves. Default: the built-in ones. Jobs of other kinds are hidden. */
  readonly kinds?: readonly Kind[]
  /** The server's own login. Default: users authenticate by tokens, which `auth` configures. */
  readonly authenticate?: Authenticate<Request>
  readonly auth?: AuthOptions
  /** Duration of sockets and streams whose login has no `expiresAt`, in ms. Default: 15 minutes. */
  readonly sessionMs?: number
  /**
   * The logger of the hub. Default: the logger of the Fastify server, or JSON lines on stdout from level `logLevel`
   * (`warn`).
   */
  readonly log?: Log
}

/** A hub that gets its requests from another Node server, such as Express or Connect. */
export interface MountedHub {
  /** Middleware: answers requests below the prefix and calls `next` for all others. Register it before body parsers. */
  handle(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
  /**
   * Handles the `upgrade` event of the server. Returns false, and touches nothing, if the path is not below the prefix.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Moves the clients to other hubs and closes those that do not move. Call it before the server is closed. */
  close(): Promise<void>
}

/**
 * Builds a hub for the user's own server, such as Express: `app.use(hub.handle)` and `server.on('upgrade',
 * hub.upgrade)`. Rejects with `invalid`, with one issue per option, for options that are unknown or invalid, and with
 * `overloaded` if Redis cannot be reached.
 */
export async function mountHub(options: MountOptions): Promise<MountedHub> {
  const node = await buildMountedNode(options)
  return {
    handle: node.mount.middleware,
    upgrade: (request, socket, head) => node.mount.upgrade(request, socket, head),
    close: () => node.close(),
  }
}

/** Builds the hub and waits until it is ready. `logger`: the logger of a Fastify server. */
export async function buildMountedNode<Request>(options: MountOptions<Request>, logger?: FastifyBaseLogger): Promise<HubNode> {
  const { prefix, authenticate, sessionMs, auth } = options
  if (!(authenticate || auth)) throw invalidOption('authenticate', 'a function that returns the user of a request, or auth instead of it')
  const kinds = kindsOf(options.kinds)
  const config = configOf('mount', kinds, { ...options })
  const { isPrefix } = await import('../http/mount.js')
  if (typeof prefix !== 'string' || !isPrefix(prefix)) throw invalidOption('prefix', 'a path such as /runcast, of A-Z a-z 0-9 . _ ~ -')
  if (authenticate !== undefined && typeof authenticate !== 'function') throw invalidOption('authenticate', 'a function')
  if (authenticate && auth) throw invalidOption('auth', 'to be absent: authenticate replaces it')
  if (sessionMs !== undefined && !(Number.isFinite(sessionMs) && sessionMs > 0)) throw invalidOption('sessionMs', 'a number of ms above 0')
  const [{ buildHubNode }, { logOf, requireRedis }] = await Promise.all([import('./hub-node.js'), import('./start.js')])
  const log = logOf(options.log ?? logger, config)
  await requireRedis(config, log)
  const host = {
    prefix,
    // It receives the requests of the server to which it belongs.
    ...(authenticate && { authenticate: authenticate as Authenticate<unknown> }),
    ...(sessionMs !== undefined && { sessionMs }),
    ...(logger && { logger }),
  }
  const node = await buildHubNode(config, log, kinds, host).catch((error: unknown) => {
    throw asRuncastError(error)
  })
  try {
    await node.server.ready()
    return node
  } catch (error) {
    await node.close()
    throw error
  }
}
