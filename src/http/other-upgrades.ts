import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import { hasBody } from './has-body.js'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Since Node 22.21 a server decides which requests to upgrade. Its types do not declare that yet. */
type DecidingServer = Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }

/*
 * Once a server has an upgrade listener, Node passes every request with `Upgrade` to it, not only those for a
 * WebSocket. Some clients offer HTTP/2 with each request (`Upgrade: h2c`). A server may ignore the offer (RFC 9110,
 * section 7.8).
 */

/** Whether a request asks for a WebSocket. Such a request has no body. */
export function asksForWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket' && !hasBody(request)
}

/** Sets which requests are upgraded; `before` is the previous decision. No effect before Node 22.21. */
export function decideUpgrades(server: DecidingServer, decide: (request: IncomingMessage, before: () => boolean) => boolean): void {
  const before = server.shouldUpgradeCallback
  if (before) server.shouldUpgradeCallback = (request) => decide(request, () => before.call(server, request))
}

/** Passes WebSocket upgrades to the present listeners of a server, and answers all others as ordinary requests. */
export function ignoreOtherUpgrades(server: Server): void {
  decideUpgrades(server, (request, before) => asksForWebSocket(request) && before())
  const listeners = server.listeners('upgrade') as UpgradeListener[] // of this event
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request, socket, head) => {
    if (!asksForWebSocket(request)) return replayAsRequest(server, request, socket, head)
    for (const listen of listeners) listen.call(server, request, socket, head)
  })
}

/** Sends a request through its server again, without its `Upgrade` header. */
export function replayAsRequest(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  // Since Node 25 the body comes with the request instead of the head.
  if (!request.complete || request.readableLength > 0) return void server.emit('request', request, responseOn(request, socket))
  const { method, url, httpVersion, rawHeaders } = request
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

/** A response to an upgrade request. Its end closes the connection. Throws if the socket has a response already. */
export function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]) // works with any stream
  socket.on('error', () => socket.destroy())
  response.shouldKeepAlive = false
  return response.on('finish', () => socket.end())
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !/^(upgrade|http2-settings)$/i.test(option)).join(', ')
}
