import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** The sender of a request and the requested address, as seen by the server in front of the hub. */
export interface Visitor {
  /** The framework's request object, for the login of that server. */
  readonly request: unknown
  readonly ip: string
  readonly protocol: string
  /** Host and port, as in the `Host` header. */
  readonly host: string
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** The host server's view for a mounted hub, else the hub's own. */
    visitorOf(request: FastifyRequest): Visitor
  }
}

/** Describes the sender of a request. A host server knows it better: it has its own proxy trust and sessions. */
export const visitors = fp(
  async (app: FastifyInstance, { known }: { known: (raw: IncomingMessage) => Visitor | undefined }) => {
    app.decorate('visitorOf', (request: FastifyRequest): Visitor => {
      const { raw, ip, protocol, host } = request
      return known(raw) ?? { request: raw, ip, protocol, host }
    })
  },
  { name: 'visitors' },
)
