import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Durations, Tally } from '../../core/tally.js'
import type { CodeName } from '../../protocol/codes.js'

/** How a client is connected. */
export type Via = 'websocket' | 'sse'

/** What a hub's HTTP side has done. */
export class HttpTally {
  /** Open now. */
  readonly connections: Record<Via, number> = { websocket: 0, sse: 0 }
  readonly opened: Record<Via, number> = { websocket: 0, sse: 0 }
  readonly refusals = new Tally<[CodeName]>()
  readonly requests = new Tally<[method: string, route: string, status: string]>()
  readonly durations = new Durations<[method: string, route: string]>()
}

/** Of a request whose client has left before it was answered. */
const ABORTED = 'aborted'

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    tally: HttpTally
  }
}

/** Counts requests by the pattern of their route, never by their path: so there are as many as there are routes. */
export const counting = fp(
  async (app: FastifyInstance) => {
    const tally = new HttpTally()
    app.decorate('tally', tally)
    const count = ({ method, is404, routeOptions }: FastifyRequest, reply: FastifyReply) => {
      const { headersSent: isAnswered, statusCode } = reply.raw
      const route = routeOptions.url
      const status = isAnswered ? String(statusCode) : ABORTED
      // Anybody may ask with any method for what there is not.
      if (is404 || route === undefined) return tally.requests.add('any', 'unmatched', status)
      tally.requests.add(method, route, status)
      const isStream = String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')
      if (isAnswered && !isStream) tally.durations.add(reply.elapsedTime, method, route)
    }
    app.addHook('onRequest', (request, reply, done) => {
      // Comes at every end, that of a client who leaves too. A WebSocket that was taken is answered by `ws`, so its response has no head of its own.
      reply.raw.once('close', () => {
        if (reply.raw.headersSent || !request.ws) count(request, reply)
      })
      done()
    })
  },
  { name: 'counting' },
)
