import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Durations, Tally } from '../../core/tally.js'
import type { CodeName } from '../../protocol/codes.js'

/** The transport of a client. */
export type Via = 'websocket' | 'sse'

/** Counters of a hub's HTTP server. */
export class HttpTally {
  /** Connections that are open now. */
  readonly connections: Record<Via, number> = { websocket: 0, sse: 0 }
  readonly opened: Record<Via, number> = { websocket: 0, sse: 0 }
  readonly refusals = new Tally<[CodeName]>()
  readonly requests = new Tally<[method: string, route: string, status: string]>()
  readonly durations = new Durations<[method: string, route: string]>()
}

/** Status of a request whose client disconnected before the response. */
const ABORTED = 'aborted'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    tally: HttpTally
  }
}

/** Counts requests by the pattern of their route, never by their path, so that the number of labels is bounded. */
export const counting = fp(
  async (app: FastifyInstance) => {
    const tally = new HttpTally()
    app.decorate('tally', tally)
    const count = ({ method, is404, routeOptions }: FastifyRequest, reply: FastifyReply) => {
      const { headersSent: isAnswered, statusCode } = reply.raw
      const route = routeOptions.url
      const status = isAnswered ? String(statusCode) : ABORTED
      // Clients can send any method to any unknown path, so these share one label.
      if (is404 || route === undefined) return tally.requests.add('any', 'unmatched', status)
      tally.requests.add(method, route, status)
      const isStream = String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')
      if (isAnswered && !isStream) tally.durations.add(reply.elapsedTime, method, route)
    }
    app.addHook('onRequest', (request, reply, done) => {
      // `close` follows every response and also a disconnect. `ws` answers an accepted WebSocket itself, so its
      // response never has headers.
      reply.raw.once('close', () => {
        if (reply.raw.headersSent || !request.ws) count(request, reply)
      })
      done()
    })
  },
  { name: 'counting' },
)
