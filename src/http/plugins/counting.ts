import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { CodeName } from '../../protocol/codes.js'
import { Durations, Tally } from '../../tally/tally.js'

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
    app.addHook('onResponse', async ({ method, is404, routeOptions }, reply) => {
      const route = routeOptions.url
      // Anybody may ask with any method for what there is not.
      if (is404 || route === undefined) return tally.requests.add('any', 'unmatched', String(reply.statusCode))
      tally.requests.add(method, route, String(reply.statusCode))
      const isStream = String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')
      if (!isStream) tally.durations.add(reply.elapsedTime, method, route)
    })
  },
  { name: 'counting' },
)
