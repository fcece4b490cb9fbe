import type { AddressInfo } from 'node:net'
import { type AuthOptions, configOf, type HubSettings, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import { rejectUnknownOptions } from '../core/known-options.js'
import type { HubNode } from './hub-node.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'
import { Service } from './service.js'

/**
 * Options of a hub. Every setting has an option in camelCase (`finalTtlMs` is FINAL_TTL_MS); limits that begin with
 * `MAX_` are in `limits`.
 */
export interface HubOptions extends HubSettings {
  readonly redis: RedisOptions
  /** How tokens are verified. Requires at least one of `jwtSecret`, `jwtPublicKey` and `jwksUrl`. */
  readonly auth: AuthOptions
  /** The kinds that the hub serves. Default: the built-in ones. Jobs of other kinds are hidden. */
  readonly kinds?: readonly Kind[]
  /** The logger of the hub. Default: JSON lines on stdout from level `logLevel` (`warn`). */
  readonly log?: Log
}

export interface ListenOptions {
  /** Default 8501. 0 selects a free port. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
}

const DEFAULT_PORT = 8501
const DEFAULT_HOST = '127.0.0.1'

/** A hub in this process. Several hubs share only what is in Redis. */
export class RuncastHub {
  readonly #service: Service<HubNode>
  readonly #metricsPort: number
  #address: string | null = null

  /** Called by `createHub`. */
  constructor(options: HubOptions) {
    const { log: given, kinds: listed } = options
    const kinds = kindsOf(listed)
    const config = configOf('hub', kinds, { ...options })
    this.#metricsPort = config.METRICS_PORT
    this.#service = new Service(async () => {
      // Imported on demand, so that a program that only enqueues does not load Fastify.
      const [{ buildHubNode }, { logOf, requireRedis }] = await Promise.all([import('./hub-node.js'), import('./start.js')])
      const log = logOf(given, config)
      await requireRedis(config, log)
      return buildHubNode(config, log, kinds)
    })
  }

  /**
   * Connects and listens. Resolves with the address, such as `http://127.0.0.1:8501`; a repeated call resolves with the
   * same one. Rejects with `overloaded` if Redis cannot be reached, with `invalid` for unknown options and for invalid
   * keys and settings files, with Node's error if the port is in use, and with `going_away` if `close` is called.
   */
  async listen(options: ListenOptions = {}): Promise<string> {
    rejectUnknownOptions(options, ['port', 'host'])
    const { port = DEFAULT_PORT, host = DEFAULT_HOST } = options
    await this.#service.start(async (node) => {
      await node.operations?.listen({ port: this.#metricsPort, host })
      await node.server.listen({ port, host })
      this.#address = addressOf(node.server.server.address())
    })
    return this.#address ?? ''
  }

  /** The URL at which it listens; null before `listen` and after `close`. */
  get address(): string | null {
    return this.#address
  }

  /** Moves its clients to other hubs (`drainMs`), then ends. Safe to call at any time, also twice. */
  async close(): Promise<void> {
    await this.#service.close()
    this.#address = null
  }
}

/**
 * Creates a hub; see `RuncastHub`. Throws `invalid`, with one issue per option, for options that are unknown or
 * invalid. It connects in `listen`.
 */
export function createHub(options: HubOptions): RuncastHub {
  return new RuncastHub(options)
}

function addressOf(bound: AddressInfo | string | null): string | null {
  if (bound === null || typeof bound === 'string') return bound
  const { address, port, family } = bound
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
