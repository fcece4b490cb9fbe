import { Client } from '../client/client.js'
import { clientOfHub, type HubClientOptions } from '../client/create-client.js'
import type { WebSocketClass } from '../client/hub-socket.js'
import { type ClientSettings, configOf, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import { invalidOption } from '../core/known-options.js'
import { isUserId } from '../protocol/user-id.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'
import { RedisBackend } from './redis-backend.js'

/** If hubs and workers use other settings than the defaults (TTLs, limits), set the same values here. */
export interface RedisClientOptions extends ClientSettings {
  readonly redis: RedisOptions
  /** The user who owns the submitted jobs. Jobs of other users are hidden. */
  readonly owner: string
  /** The kinds of the jobs, the same as for the hubs. Default: the built-in ones. Jobs of other kinds are hidden. */
  readonly kinds?: readonly Kind[]
  /** Receives errors of the connections. Failed calls reject as well. */
  readonly log?: Log
}

export type ClientOptions = RedisClientOptions | HubClientOptions

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * A client for one user's jobs: over Redis, for a program that may access it, or over a hub, with a token. Both are the
 * same `Client`. Throws `invalid` for options that are unknown or invalid. Connects on first use; `close` releases
 * everything.
 */
export function createClient(options: ClientOptions): Client {
  if (!('redis' in options)) return clientOfHub(options, loadWebSocket)
  const { owner, kinds: listed, log = SILENT } = options
  const kinds = kindsOf(listed)
  const config = configOf('client', kinds, { ...options })
  if (typeof owner === 'string' && isUserId(owner)) return new Client(new RedisBackend(config, owner, log, kinds))
  throw invalidOption('owner', 'the id of a user: 1 to 256 characters, without lone surrogates')
}

/** Node has a global class from version 22 on. */
async function loadWebSocket(): Promise<WebSocketClass> {
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketClass }
  return WebSocket ?? (await import('ws')).WebSocket
}
