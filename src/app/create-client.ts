import { Client } from '../client/client.js'
import { clientOfHub, type HubClientOptions } from '../client/create-client.js'
import type { WebSocketClass } from '../client/line.js'
import { type ClientSettings, configOf, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import { RuncastError } from '../protocol/codes.js'
import { isUserId } from '../protocol/user-id.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'
import { RedisBackend } from './redis-backend.js'

/** Where hubs and workers have other settings than the defaults (TTLs, limits): the same here. */
export interface RedisClientOptions extends ClientSettings {
  readonly redis: RedisOptions
  /** Whose jobs are submitted, and whose are seen. */
  readonly owner: string
  /** The kinds of the jobs: the same as of the hubs. Without it the built-in ones. Jobs of others are hidden. */
  readonly kinds?: readonly Kind[]
  /** For faults of the connections. What they cost is an error of the caller as well. */
  readonly log?: Log
}

export type ClientOptions = RedisClientOptions | HubClientOptions

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * A client for one user's jobs: over Redis, for a program that may see it, or over a hub, with a token. Both are the same `Client`. Throws `invalid` for options
 * that are unknown or not valid. It connects when it is first used; `close` releases everything.
 */
export function createClient(options: ClientOptions): Client {
  if (!('redis' in options)) return clientOfHub(options, loadWebSocket)
  const { owner, kinds: listed, log = SILENT } = options
  const kinds = kindsOf(listed)
  const config = configOf('client', kinds, { ...options })
  if (typeof owner === 'string' && isUserId(owner)) return new Client(new RedisBackend(config, owner, log, kinds))
  const expected = 'the user whose jobs they are: 1 to 256 characters, well formed'
  throw new RuncastError('invalid', { message: `owner: expected ${expected}`, issues: [{ path: '/owner', expected }] })
}

/** Node has a class of its own from version 22 on. */
async function loadWebSocket(): Promise<WebSocketClass> {
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketClass }
  return WebSocket ?? (await import('ws')).WebSocket
}
