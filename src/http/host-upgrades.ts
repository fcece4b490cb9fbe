import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Mount } from './mount.js'

/** Our listeners for the upgrades of a server: one before all others, one after them. */
const OWN_LISTENERS = 2

/** An upgrade that waits for the route of its hub. */
interface Waiting {
  readonly socket: Duplex
  readonly head: Buffer
}

/**
 * The upgrades of a Fastify server in which hubs are mounted, for their paths alone. A plugin such as `@fastify/websocket` may be there, in any scope: it routes the upgrades
 * of all paths, and is left to do so. Where none is, those of a hub's path are routed here. Node hands every request with `Upgrade` to the listeners once there is one,
 * also such as `Upgrade: h2c`: what nobody else listens for is given back to the server as the ordinary request that it was without us.
 */
export class HostUpgrades {
  static readonly #all = new WeakMap<Server, HostUpgrades>()
  readonly #app: FastifyInstance
  readonly #mounts = new Set<Mount>()
  readonly #waiting = new WeakMap<IncomingMessage, Waiting>()
  /** Those that have reached their hub. */
  readonly #taken = new WeakSet<IncomingMessage>()

  /** The one of a server. Call it when all plugins are loaded, so that it listens after them. */
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

  /** The upgrade that a request asks for, once, for the hub that answers it; undefined of an ordinary request. */
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
      if (server.listenerCount('upgrade') === OWN_LISTENERS) giveBack(server, request, socket, head)
      return
    }
    const response = new ServerResponse(request)
    try {
      response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]) // any stream will do
    } catch (error) {
      // Another plugin has routed it already, and its hooks are not done yet.
      if (error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_SOCKET_ASSIGNED') return
      throw error
    }
    socket.on('error', () => socket.destroy())
    response.shouldKeepAlive = false
    // Where a hook of the host has answered; a hub that takes the socket detaches it.
    response.on('finish', () => socket.end())
    this.#app.routing(request, response)
  }
}

/** Feeds a request to the server again, without its wish for an upgrade. */
function giveBack(server: Server, { method, url, httpVersion, rawHeaders }: IncomingMessage, socket: Duplex, head: Buffer): void {
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
