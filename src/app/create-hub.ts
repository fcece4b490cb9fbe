import type { AddressInfo } from 'node:net'
import { type AuthOptions, configOf, type HubSettings, type RedisOptions } from '../config/options.js'
import type { Kind } from '../core/kind.js'
import type { HubNode } from './hub-node.js'
import { kindsOf } from './own-kinds.js'
import type { Log } from './parts.js'
import { Service } from './service.js'

/** Every setting of a hub has its option in camelCase (`finalTtlMs` is FINAL_TTL_MS), those that begin with `MAX_` in `limits`. */
export interface HubOptions extends HubSettings {
  readonly redis: RedisOptions
  /** How tokens are checked: one of `jwtSecret`, `jwtPublicKey` and `jwksUrl` at least. */
  readonly auth: AuthOptions
  /** The kinds that it serves; without it the built-in ones. Jobs of others are hidden. */
  readonly kinds?: readonly Kind[]
  /** Takes what the parts of the hub log; without it they log to stdout, as JSON lines from `logLevel` on (`warn`). */
  readonly log?: Log
}

export interface ListenOptions {
  /** 8501 without it; 0: one that is free. */
  readonly port?: number
  /** 127.0.0.1 without it. */
  readonly host?: string
}

const DEFAULT_PORT = 8501
const DEFAULT_HOST = '127.0.0.1'

/** A hub in this process. It shares nothing with another one but what is in Redis. */
export class RuncastHub {
  readonly #service: Service<HubNode>
  #listenOn: ListenOptions = {}
  #address: string | null = null

  /** For `createHub`. */
  constructor(options: HubOptions) {
    const { log: given, kinds: listed } = options
    const kinds = kindsOf(listed)
    const config = configOf('hub', kinds, { ...options })
    this.#service = new Service(async () => {
      // Fastify and all that a hub needs: a program that only enqueues pays nothing for them.
      const [{ buildHubNode }, { logOf, mustHaveRedis }] = await Promise.all([import('./hub-node.js'), import('./start.js')])
      const log = logOf(given, config)
      await mustHaveRedis(config, log)
      const node = await buildHubNode(config, log, kinds)
      try {
        const { port = DEFAULT_PORT, host = DEFAULT_HOST } = this.#listenOn
        await node.server.listen({ port, host })
      } catch (error) {
        await node.close()
        throw error
      }
      this.#address = addressOf(node.server.server.address())
      return node
    })
  }

  /**
   * Connects and listens; resolves with the address, `http://127.0.0.1:8501`. Rejects with `overloaded` where Redis cannot be reached, with `invalid` for files of
   * settings, and with an error of Node where the port is in use. Once more answers the same.
   */
  async listen(options: ListenOptions = {}): Promise<string> {
    this.#listenOn = options
    await this.#service.start()
    return this.#address ?? ''
  }

  /** Where it listens, as a URL; null before `listen` and after `close`. */
  get address(): string | null {
    return this.#address
  }

  /** Moves its clients to other hubs (`drainMs`), then ends. Once more does nothing more. */
  async close(): Promise<void> {
    await this.#service.close()
    this.#address = null
  }
}

/** A hub for a program; see `RuncastHub`. Throws `invalid`, with an issue for each, for options that are unknown or not valid. It connects when it listens. */
export function createHub(options: HubOptions): RuncastHub {
  return new RuncastHub(options)
}

function addressOf(bound: AddressInfo | string | null): string | null {
  if (bound === null || typeof bound === 'string') return bound
  const { address, port, family } = bound
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
