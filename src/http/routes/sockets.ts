import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { runDialect } from '../../core/dialect.js'
import type { Kinds } from '../../core/kind.js'
import { nativeDialect } from '../../core/native-dialect.js'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'
import { jobScope } from '../../hub/scopes/job-scope.js'
import type { BuildScope } from '../../hub/scopes/scope.js'
import { type UserScopeLimits, userScope } from '../../hub/scopes/user-scope.js'
import { RuncastError } from '../../protocol/codes.js'
import { WebSocketTransport } from '../transports/websocket-transport.js'
import { positionOf } from './position.js'

export interface SocketOptions {
  readonly kinds: Kinds
  readonly limit: UpgradeLimit
  readonly maxInboundBytes: number
  readonly userLimits: UserScopeLimits
}

/** How long a peer may take to answer a close. Shorter than what a stopping process is given. */
const CLOSE_TIMEOUT_MS = 3000

/**
 * Most frames of one message, and most reads that make up one frame. `ws` keeps an object for each until the message is whole, so that without these a message of
 * `MAX_INBOUND_BYTES` could cost a hundred times its size.
 */
const MAX_FRAGMENTS = 32
const MAX_BUFFERED_CHUNKS = 1024

/**
 * `WS /ws`: all jobs of a user. `WS /api/v2/ws/<kind>/{id}` and `WS /api/jobs/{id}/socket`: one job. Accepted first and closed with the code after, since a browser cannot read
 * a refused handshake.
 */
export const sockets = fp(
  async (app: FastifyInstance, { kinds, limit, maxInboundBytes, userLimits }: SocketOptions) => {
    // `closeTimeout`, `maxFragments` and `maxBufferedChunks` are options of `ws` that its types do not know.
    const wsOptions = {
      maxPayload: maxInboundBytes,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
      perMessageDeflate: false,
      // No subprotocol is spoken here; `ws` would answer the first that is asked for (RFC 6455, section 4.2.2).
      handleProtocols: () => false as const,
      clientTracking: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
    }
    await app.register(fastifyWebsocket, {
      options: wsOptions,
      // `ws` has closed with the right code before it tells of a fault of the peer (1009 for a frame too big).
      errorHandler: (error, _socket, request) => request.log.debug({ err: error }, 'websocket fault'),
      // The sessions are closed by their plugin.
      preClose: (done) => done(),
    })

    const socketAt = (url: string, tags: string[], summary: string, scopeOf: (request: FastifyRequest) => BuildScope) =>
      app.route({
        method: 'GET',
        url,
        schema: { tags, summary },
        config: { isSocket: true },
        handler: () => {
          throw new RuncastError('no_route', 'Only a WebSocket is served at this address.')
        },
        wsHandler: (webSocket, request) => serve(app, limit, webSocket, request, scopeOf(request)),
      })

    socketAt('/ws', ['processes'], 'WebSocket: every job of the user, live', () => userScope(userLimits))
    socketAt('/api/jobs/:id/socket', ['jobs'], 'WebSocket: state and live progress, in the dialect of the kind', (request) => {
      const { id } = request.params as { id: string } // of the route
      const after = positionOf(request.query as object)
      return jobScope({ id, kind: null, idField: 'id', dialect: nativeDialect, ...(after && { after }) })
    })
    for (const { name: kind, idField, path } of kinds.all) {
      if (path === null) continue
      socketAt(`/api/v2/ws/${path}/:id`, [path], 'WebSocket: state and live progress', (request) => {
        const { id } = request.params as { id: string } // of the route
        const after = positionOf(request.query as object)
        return jobScope({ id, kind, idField, dialect: runDialect, ...(after && { after }) })
      })
    }
  },
  { name: 'sockets', dependencies: ['sessions'] },
)

function serve(app: FastifyInstance, limit: UpgradeLimit, webSocket: WebSocket, request: FastifyRequest, scope: BuildScope): void {
  const { socket } = request.raw
  const transport = new WebSocketTransport(webSocket, socket)
  const { ip } = app.visitorOf(request)
  const pending = limit.pending.add(ip)
  webSocket.on('close', () => pending.leave())
  if (!app.mayConnectFrom(request)) {
    app.tally.refusals.add('forbidden')
    // Nothing of it is read meanwhile.
    webSocket.pause()
    const callOff = app.refuse(request, request.headers.origin ?? '', () => {
      webSocket.resume()
      transport.close('forbidden', 'This page may not connect.')
    })
    webSocket.on('close', callOff)
    return
  }
  const { session, forget } = app.buildSession('websocket', transport, request, scope, () => pending.leave())
  let isCut = false
  const cut = () => {
    if (isCut) return
    isCut = true
    limit.penalise(ip)
    session.close('too_big', 'More was sent without a token than a token needs.')
    // Whoever has sent too much already is not read any further, not even for the answer to the close.
    socket.destroySoon()
  }
  // Ahead of `ws`, and on the socket itself: what `ws` keeps of a message that does not end is no event.
  socket.prependListener('data', (bytes: Buffer) => pending.read(bytes.length) || cut())
  // A fault that `ws` has found, such as too many fragments.
  webSocket.on('error', () => pending.isPending && cut())
  webSocket.on('ping', () => pending.frame() || cut())
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    if (!pending.frame()) return cut()
    session.receive(isBinary ? null : data.toString())
  })
  webSocket.on('pong', () => {
    if (!pending.frame()) return cut()
    session.touch()
  })
  webSocket.on('close', forget)
  session.start()
}
