import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Mount } from './mount.js'
import { asksForWebSocket, decideUpgrades, replayAsRequest, responseOn } from './other-upgrades.js'

/** Listeners that a `HostUpgrades` adds to a server: one before all others, one after them. */
const OWN_LISTENERS = 2

/** An upgrade that has not reached the route of its hub yet. */
interface Waiting {
  readonly socket: Duplex
  readonly head: Buffer
}

/**
 * Routes the upgrades for hubs that are mounted in one Fastify server, and no others. If a plugin such as
 * `@fastify/websocket` is registered, in any scope, it routes the upgrades of all paths and is left to do so. If there
 * is none, upgrades for a hub's path are routed here. A request that no other listener handles is answered as an
 * ordinary request, as without a hub.
 */
export class HostUpgrades {
  static readonly #all = new WeakMap<Server, HostUpgrades>()
  readonly #app: FastifyInstance
  readonly #mounts = new Set<Mount>()
  readonly #waiting = new WeakMap<IncomingMessage, Waiting>()
  /** Requests that have reached their hub. */
  readonly #taken = new WeakSet<IncomingMessage>()

  /** The instance for this server. Call it when all plugins are loaded, so that it listens after them. */
  static of(app: FastifyInstance): HostUpgrades {
    const known = HostUpgrades.#all.get(app.server)
    if (known) return known
    const upgrades = new HostUpgrades(app)
    HostUpgrades.#all.set(app.server, upgrades)
    return upgrades
  }

  private constructor(app: FastifyInstance) {
    this.#app = app
    app.server.prependListener('upgrade', (request, socket, head) => void this.#waiting.set(request, { socket, head }))
    app.server.on('upgrade', (request, socket, head) => this.#route(request, socket, head))
    decideUpgrades(app.server, (request, before) => {
      if (this.#isForHub(request)) return asksForWebSocket(request)
      return this.#isShared && before()
    })
  }

  add(mount: Mount): void {
    this.#mounts.add(mount)
  }

  /** Takes the pending upgrade of a request, once. Undefined for an ordinary request. */
  take(request: IncomingMessage): Waiting | undefined {
    const waiting = this.#waiting.get(request)
    if (waiting) this.#taken.add(request)
    this.#waiting.delete(request)
    return waiting
  }

  /** Whether others listen for upgrades too. */
  get #isShared(): boolean {
    return this.#app.server.listenerCount('upgrade') > OWN_LISTENERS
  }

  #isForHub(request: IncomingMessage): boolean {
    return [...this.#mounts].some((mount) => mount.has(request))
  }

  #route(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#taken.has(request)) return
    const isForHub = this.#isForHub(request)
    if (!this.#isShared && !(isForHub && asksForWebSocket(request))) return replayAsRequest(this.#app.server, request, socket, head)
    if (!isForHub) return
    try {
      this.#app.routing(request, responseOn(request, socket))
    } catch (error) {
      // Another plugin has already routed it, and its hooks still run.
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_SOCKET_ASSIGNED')) throw error
    }
  }
}
