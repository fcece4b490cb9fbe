import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { systemClock } from '../../hub/clock.js'
import type { Hub } from '../../hub/hub.js'
import type { Policy } from '../../hub/policy.js'
import { Session, type SessionLimits } from '../../hub/session.js'
import { Refusal } from '../../protocol/codes.js'
import type { Position } from '../../protocol/entry.js'
import { KINDS, RUN_KIND_NAMES, type RunKindName } from '../../protocol/kinds.js'
import { tokenOf } from '../plugins/auth.js'
import { WebSocketTransport } from '../transports/websocket-transport.js'

export interface SocketOptions {
  readonly hub: Hub
  readonly policy: Policy
  readonly limits: SessionLimits
  readonly maxInboundBytes: number
}

/** How long a peer may take to answer a close. Shorter than what a stopping process is given. */
const CLOSE_TIMEOUT_MS = 3000

declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions of this node. */
    sessions: ReadonlySet<Session>
  }
}

/** `WS /api/v2/ws/<kind>/{id}`: accepted first and closed with its code after, since a browser cannot read a refused handshake. */
export const jobSockets = fp(
  async (app: FastifyInstance, { hub, policy, limits, maxInboundBytes }: SocketOptions) => {
    const sessions = new Set<Session>()
    app.decorate('sessions', sessions)
    // `closeTimeout` is an option of `ws` that its types do not know.
    const wsOptions = { maxPayload: maxInboundBytes, perMessageDeflate: false, clientTracking: false, closeTimeout: CLOSE_TIMEOUT_MS }
    await app.register(fastifyWebsocket, {
      options: wsOptions,
      // `ws` has closed with the right code before it tells of a fault of the peer (1009 for a frame too big).
      errorHandler: (error, _socket, request) => request.log.debug({ err: error }, 'websocket fault'),
      preClose: (done) => {
        for (const session of sessions) session.close('restart')
        done()
      },
    })

    const socketOf = (kind: RunKindName) => {
      const { idField, path } = KINDS[kind]
      app.route<{ Params: { id: string }; Querystring: { after?: string; epoch?: string } }>({
        method: 'GET',
        url: `/api/v2/ws/${path}/:id`,
        schema: { tags: [path], summary: 'WebSocket: state and live progress' },
        handler: () => {
          throw new Refusal('no_route', 'Only a WebSocket is served at this address.')
        },
        wsHandler: (webSocket, request) => {
          const token = tokenOf(request)
          const after = positionOf(request.query)
          const session = new Session(new WebSocketTransport(webSocket, request.raw.socket), {
            hub,
            policy,
            clock: systemClock,
            limits,
            idField,
            jobId: request.params.id,
            ...(after && { after }),
            ...(token !== undefined && { token }),
            onFault: (error) => request.log.error(error),
          })
          sessions.add(session)
          follow(webSocket, session, () => sessions.delete(session))
          session.start()
        },
      })
    }
    for (const kind of RUN_KIND_NAMES) socketOf(kind)
  },
  { name: 'job-sockets', dependencies: ['auth'] },
)

function follow(webSocket: WebSocket, session: Session, forget: () => void): void {
  webSocket.on('message', (data: Buffer, isBinary: boolean) => session.receive(isBinary ? null : data.toString()))
  webSocket.on('pong', () => session.heard())
  webSocket.on('close', () => {
    session.ended()
    forget()
  })
}

/** `?after=<seq>&epoch=<epoch>`; what is no position is as good as none: the client gets the whole state. */
function positionOf({ after, epoch }: { after?: string; epoch?: string }): Position | null {
  // Given twice, either is an array.
  if (typeof after !== 'string' || typeof epoch !== 'string' || !/^[0-9]+$/.test(after)) return null
  const seq = Number(after)
  return Number.isSafeInteger(seq) ? { epoch, seq } : null
}
