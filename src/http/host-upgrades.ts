import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Mount } from './mount.js'

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
 * is none, upgrades for a hub's path are routed here. Once a server has an upgrade listener, Node passes every request
 * with `Upgrade` to it, also `Upgrade: h2c`. A request that no other listener handles is replayed to the server as an
 * ordinary request.
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

  #route(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#taken.has(request)) return
    if (![...this.#mounts].some((mount) => mount.has(request))) {
      const { server } = this.#app
      if (server.listenerCount('upgrade') === OWN_LISTENERS) replayAsRequest(server, request, socket, head)
      return
    }
    const response = new ServerResponse(request)
    try {
      response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]) // works with any stream
    } catch (error) {
      // Another plugin has already routed it, and its hooks still run.
      if (error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_SOCKET_ASSIGNED') return
      throw error
    }
    socket.on('error', () => socket.destroy())
    response.shouldKeepAlive = false
    // For an answer by a hook of the host. A hub that accepts the upgrade detaches the socket.
    response.on('finish', () => socket.end())
    this.#app.routing(request, response)
  }
}

/** Sends a request through the server again, without its `Upgrade` header. */
function replayAsRequest(server: Server, { method, url, httpVersion, rawHeaders }: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2)
    if (name.toLowerCase() === 'upgrade') continue
    const kept = name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value
    if (kept !== '') lines.push(`${name}: ${kept}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !/^(upgrade|http2-settings)$/i.test(option)).join(', ')
}
