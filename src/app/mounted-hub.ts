import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { type AuthOptions, configOf, type HubSettings, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import type { Authenticate } from '../http/plugins/login.js'
import { RuncastError } from '../protocol/codes.js'
import type { HubNode } from './hub-node.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'

/** A hub below a path of a server of one's own; the settings are options as of `createHub`. `Request`: what that server hands to its login. */
export interface MountOptions<Request = IncomingMessage> extends HubSettings {
  /** Where the hub lies on the server, as `/runcast`. */
  readonly prefix: string
  readonly redis: RedisOptions
  /** The kinds that it serves; without it the built-in ones. Jobs of others are hidden. */
  readonly kinds?: readonly Kind[]
  /** The server's own login. Without it users bring tokens, which `auth` says how to check. */
  readonly authenticate?: Authenticate<Request>
  readonly auth?: AuthOptions
  /** How long a socket or stream lives whose login does not say when it ends, in ms. 15 minutes without it. */
  readonly sessionMs?: number
  /** Takes what the parts of the hub log; without it the log of the Fastify server, else JSON lines on stdout from `logLevel` on (`warn`). */
  readonly log?: Log
}

/** A hub that a server of Node hands requests to: Express, Connect, or none at all. */
export interface MountedHub {
  /** Middleware: answers requests below the prefix and calls `next` for all others. Register it before body parsers. */
  handle(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
  /** For the event `upgrade` of the server. False for one that is not below the prefix: it is not touched. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Moves the clients to other hubs, and closes those that do not follow. Call it before the server is closed. */
  close(): Promise<void>
}

/**
 * A hub in a server of one's own, as of Express: `app.use(hub.handle)` and `server.on('upgrade', hub.upgrade)`. Rejects with `invalid`, and an issue for each, for options
 * that are unknown or not valid, and with `overloaded` where Redis cannot be reached.
 */
export async function mountHub(options: MountOptions): Promise<MountedHub> {
  const node = await buildMountedNode(options)
  return {
    handle: node.mount.middleware,
    upgrade: (request, socket, head) => node.mount.upgrade(request, socket, head),
    close: () => node.close(),
  }
}

/** The hub itself, ready. `logger`: of a Fastify server. */
export async function buildMountedNode<Request>(options: MountOptions<Request>, logger?: FastifyBaseLogger): Promise<HubNode> {
  const { prefix, authenticate, sessionMs, auth } = options
  const kinds = kindsOf(options.kinds)
  const config = configOf('mount', kinds, { ...options })
  if (typeof prefix !== 'string' || !/^(\/[^\s/?#]+)+$/.test(prefix)) throw invalid('/prefix', 'a path such as /runcast')
  if (authenticate !== undefined && typeof authenticate !== 'function') throw invalid('/authenticate', 'a function')
  if (authenticate && auth) throw invalid('/auth', 'to be absent: authenticate says who asks')
  if (sessionMs !== undefined && !(Number.isFinite(sessionMs) && sessionMs > 0)) throw invalid('/sessionMs', 'a number of ms above 0')
  const [{ buildHubNode }, { logOf, mustHaveRedis }] = await Promise.all([import('./hub-node.js'), import('./start.js')])
  const log = logOf(options.log ?? logger, config)
  await mustHaveRedis(config, log)
  const node = await buildHubNode(config, log, kinds, {
    prefix,
    // It is asked about the requests of the server that it belongs to.
    ...(authenticate && { authenticate: authenticate as Authenticate<unknown> }),
    ...(sessionMs !== undefined && { sessionMs }),
    ...(logger && { logger }),
  })
  await node.server.ready()
  return node
}

function invalid(path: string, expected: string): RuncastError {
  return new RuncastError('invalid', { message: `${path.slice(1)}: expected ${expected}`, issues: [{ path, expected }] })
}
