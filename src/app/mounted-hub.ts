import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { type Config, loadConfig, SETTINGS } from '../config/config.js'
import type { Kind, Kinds } from '../core/kind.js'
import type { Authenticate } from '../http/plugins/login.js'
import type { Work } from '../worker/implement.js'
import { knownKinds, withBuiltIns } from './define-kind.js'
import type { HubNode } from './hub-node.js'
import type { Log } from './parts.js'

/** A hub below a path of a server of one's own. `Request`: what that server hands to its login. */
export interface MountOptions<Request = IncomingMessage> {
  /** Where the hub lies on the server, as `/runcast`. */
  readonly prefix: string
  readonly redis: {
    /** `redis://…` or `rediss://…`. */
    readonly url: string
    /** Begins every key: the same as of the workers. `runcast` without it. */
    readonly prefix?: string
  }
  /** Kinds of one's own that it serves beside the built-in ones; without it those that were defined in the short form so far. */
  readonly kinds?: readonly (Kind | Work)[]
  /** The server's own login. Without it users bring tokens, of the settings `JWT_…`. */
  readonly authenticate?: Authenticate<Request>
  /** Origins of other pages that may use the hub with that login, as `https://app.example`. */
  readonly allowedOrigins?: readonly string[]
  /** How long a socket or stream lives whose login does not say when it ends, in ms. 15 minutes without it. */
  readonly sessionMs?: number
  /** Limits and times other than the defaults, by their names. */
  readonly settings?: Partial<Config>
}

export const MOUNT_OPTIONS = [
  'prefix',
  'redis',
  'kinds',
  'authenticate',
  'allowedOrigins',
  'sessionMs',
  'settings',
] as const satisfies readonly (keyof MountOptions)[]

/** A hub that a server of Node hands requests to: Express, Connect, or none at all. */
export interface MountedHub {
  /** A middleware: answers what is below the prefix, and calls `next` for all else. It goes before parsers of bodies, and is called with the request as it came. */
  handle(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
  /** For the event `upgrade` of the server. False for one that is not below the prefix: it is not touched. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Moves the clients to other hubs, and closes those that do not follow. Call it before the server is closed. */
  close(): Promise<void>
}

/**
 * A hub in a server of one's own, as of Express: `app.use(hub.handle)` and `server.on('upgrade', hub.upgrade)`. Rejects with a TypeError for options that it does not
 * know, with a `ConfigError` for settings that are wrong, and where Redis cannot be reached.
 */
export async function mountHub(options: MountOptions): Promise<MountedHub> {
  const { pino } = await import('pino')
  const { redact } = await import('../http/plugins/request-logging.js')
  const node = await buildMountedNode(options, MOUNT_OPTIONS, (level) => pino({ level, redact }))
  return {
    handle: node.mount.middleware,
    upgrade: (request, socket, head) => node.mount.upgrade(request, socket, head),
    close: () => node.close(),
  }
}

/** The hub itself, ready. `names`: the options that are known. */
export async function buildMountedNode<Request>(
  options: MountOptions<Request>,
  names: readonly string[],
  logOf: (level: string) => Log,
  logger?: FastifyBaseLogger,
): Promise<HubNode> {
  refuseUnknown('options', options, names)
  const { prefix, authenticate, sessionMs } = options
  if (typeof prefix !== 'string' || !/^(\/[^\s/?#]+)+$/.test(prefix))
    throw new TypeError(`prefix: expected a path such as /runcast, not ${JSON.stringify(prefix)}`)
  const kinds = options.kinds ? withBuiltIns(options.kinds) : knownKinds()
  const config = configOf(options, kinds)
  const log = logOf(config.LOG_LEVEL)
  const [{ buildHubNode }, { checkRedis }] = await Promise.all([import('./hub-node.js'), import('./parts.js')])
  await checkRedis({ url: config.REDIS_URL }, log)
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

/** The settings of the hub. Those of the process's environment are not looked at. */
function configOf({ redis, allowedOrigins = [], settings = {}, authenticate }: MountOptions<never>, kinds: Kinds): Config {
  refuseUnknown('settings', settings, Object.keys(SETTINGS))
  const env = {
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
    REDIS_URL: redis.url,
    ...(redis.prefix !== undefined && { REDIS_PREFIX: redis.prefix }),
    ...(allowedOrigins.length > 0 && { ALLOWED_ORIGINS: allowedOrigins.join(',') }),
  }
  return loadConfig(env, ['REDIS_URL'], authenticate === undefined, kinds)
}

function refuseUnknown(what: string, given: object, names: readonly string[]): void {
  const unknown = Object.keys(given).filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new TypeError(`unknown ${what}: ${unknown.join(', ')}`)
}
