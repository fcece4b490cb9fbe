import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** The sender of a request, and the address that it asked, as the server in front of the hub sees them. */
export interface Visitor {
  /** The request of that server's framework: what its login reads. */
  readonly request: unknown
  readonly ip: string
  readonly protocol: string
  /** Host and port, as in the header `Host`. */
  readonly host: string
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** Of a hub that is mounted in another server that server's view, else its own. */
    visitorOf(request: FastifyRequest): Visitor
  }
}

/** Who asks. A server that the hub is mounted in knows it better: it has its own trust in proxies and its own sessions. */
export const visitors = fp(
  async (app: FastifyInstance, { known }: { known: (raw: IncomingMessage) => Visitor | undefined }) => {
    app.decorate('visitorOf', (request: FastifyRequest): Visitor => {
      const { raw, ip, protocol, host } = request
      return known(raw) ?? { request: raw, ip, protocol, host }
    })
  },
  { name: 'visitors' },
)
