import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { runDialect } from '../../core/dialect.js'
import type { Kinds } from '../../core/kind.js'
import { nativeDialect } from '../../core/native-dialect.js'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'
import { type JobScopeOptions, jobScope } from '../../hub/scopes/job-scope.js'
import type { BuildScope } from '../../hub/scopes/scope.js'
import { type UserScopeLimits, userScope } from '../../hub/scopes/user-scope.js'
import { RuncastError } from '../../protocol/codes.js'
import { whyNotFrom } from '../plugins/origins.js'
import { WebSocketTransport } from '../transports/websocket-transport.js'
import { positionOf, telemetryOf } from './position.js'

export interface SocketOptions {
  readonly kinds: Kinds
  readonly limit: UpgradeLimit
  readonly maxInboundBytes: number
  readonly userLimits: UserScopeLimits
}

/** Time for a peer to answer a close. Shorter than the shutdown time of a process. */
const CLOSE_TIMEOUT_MS = 3000

/**
 * Maximum frames per message, and maximum reads per frame. `ws` keeps an object for each until the message is complete,
 * so without these limits a message of `MAX_INBOUND_BYTES` could cost a hundred times its size.
 */
const MAX_FRAGMENTS = 32
const MAX_BUFFERED_CHUNKS = 1024

/**
 * `WS /ws`: all jobs of a user. `WS /api/v2/ws/<kind>/{id}` and `WS /api/jobs/{id}/socket`: one job. A socket is
 * accepted before it is closed with a code, since browsers cannot read a rejected handshake.
 */
export const sockets = fp(
  async (app: FastifyInstance, { kinds, limit, maxInboundBytes, userLimits }: SocketOptions) => {
    // `closeTimeout`, `maxFragments` and `maxBufferedChunks` are options of `ws` that its types do not list.
    const wsOptions = {
      maxPayload: maxInboundBytes,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
      perMessageDeflate: false,
      // No subprotocol is supported. By default, `ws` would select the first offered one (RFC 6455, section 4.2.2).
      handleProtocols: () => false as const,
      clientTracking: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
    }
    await app.register(fastifyWebsocket, {
      options: wsOptions,
      // `ws` has already closed with the right code when it reports an error of the peer (1009 for a frame that is too
      // big).
      errorHandler: (error, _socket, request) => request.log.debug({ err: error }, 'websocket error'),
      // The sessions plugin closes the sessions.
      preClose: (done) => done(),
    })

    const socketAt = (url: string, scopeOf: (request: FastifyRequest) => BuildScope) =>
      app.route({
        method: 'GET',
        url,
        schema: { hide: true },
        config: { isSocket: true },
        handler: () => {
          throw new RuncastError('no_route', 'Only a WebSocket is served at this address.')
        },
        wsHandler: (webSocket, request) => serve(app, limit, webSocket, request, scopeOf(request)),
      })

    socketAt('/ws', () => userScope(userLimits))
    socketAt('/api/jobs/:id/socket', (request) => {
      return jobScope({ ...askedOf(request), kind: null, idField: 'id', dialect: nativeDialect })
    })
    for (const { name: kind, idField, path } of kinds.all) {
      if (path === null) continue
      socketAt(`/api/v2/ws/${path}/:id`, (request) => jobScope({ ...askedOf(request), kind, idField, dialect: runDialect }))
    }
  },
  { name: 'sockets', dependencies: ['sessions'] },
)

/** The job of a socket, the position to resume from, and what is wanted beside entries. */
function askedOf(request: FastifyRequest): Pick<JobScopeOptions, 'id' | 'after' | 'telemetry'> {
  const { id } = request.params as { id: string } // from the path of the route
  const query = request.query as Readonly<Record<string, unknown>>
  const after = positionOf(query)
  return { id, ...(after && { after }), telemetry: telemetryOf(query) }
}

function serve(app: FastifyInstance, limit: UpgradeLimit, webSocket: WebSocket, request: FastifyRequest, scope: BuildScope): void {
  const { socket } = request.raw
  const transport = new WebSocketTransport(webSocket, socket)
  const { ip } = app.visitorOf(request)
  const pending = limit.pending.add(ip)
  webSocket.on('close', () => pending.leave())
  if (!app.mayConnectFrom(request)) {
    app.tally.refusals.add('forbidden')
    // Nothing is read from it in the meantime.
    webSocket.pause()
    const cancelReport = app.refuse(request, request.headers.origin ?? '', () => {
      webSocket.resume()
      transport.close('forbidden', whyNotFrom(request))
    })
    webSocket.on('close', cancelReport)
    return
  }
  const { session, forget } = app.buildSession('websocket', transport, request, scope, () => pending.leave())
  let isDisconnected = false
  const disconnect = () => {
    if (isDisconnected) return
    isDisconnected = true
    limit.penalise(ip)
    session.close('too_big', 'Too much data was sent before authentication.')
    // Nothing more is read from this client, not even its answer to the close.
    socket.destroySoon()
  }
  // Registered before the listener of `ws`, on the TCP socket: `ws` emits no event for parts of an incomplete message.
  socket.prependListener('data', (bytes: Buffer) => pending.read(bytes.length) || disconnect())
  // An error that `ws` has found, such as too many fragments.
  webSocket.on('error', () => pending.isPending && disconnect())
  webSocket.on('ping', () => pending.frame() || disconnect())
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    if (!pending.frame()) return disconnect()
    session.receive(isBinary ? null : data.toString())
  })
  webSocket.on('pong', () => {
    if (!pending.frame()) return disconnect()
    session.touch()
  })
  webSocket.on('close', forget)
  session.start()
}
