import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'
import { RuncastError } from '../../protocol/codes.js'

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyContextConfig {
    /** A WebSocket is served here. */
    isSocket?: boolean
  }
  interface FastifyInstance {
    /** Asks for a place on this node for a live connection: null, or the reason why there is none, with `Retry-After` set on the answer. `isStranger`: its client is still to prove who it is. */
    rejectUpgrade(request: FastifyRequest, reply: FastifyReply, isStranger?: boolean): RuncastError | null
  }
}

/** Answers a WebSocket upgrade that a node does not take with 503 and `Retry-After`, before the handshake: the one case in which a socket is not accepted first. */
export const upgrades = fp(
  async (app: FastifyInstance, { limit }: { limit: UpgradeLimit }) => {
    app.decorate('rejectUpgrade', (request: FastifyRequest, reply: FastifyReply, isStranger?: boolean): RuncastError | null => {
      const seconds = limit.refuse(app.visitorOf(request).ip, app.sessions.size, isStranger)
      if (seconds === null) return null
      void reply.header('retry-after', String(seconds))
      const why = limit.draining ? 'This server is stopping' : 'This server takes no more sockets right now'
      return new RuncastError(limit.draining ? 'restart' : 'overloaded', `${why}; try again after ${seconds} s.`)
    })
    // Not async: between this look and the socket that is added no other request may come.
    app.addHook('onRequest', (request, reply, done) => {
      const isUpgrade = request.headers.upgrade?.toLowerCase() === 'websocket'
      if (!isUpgrade) return done()
      const refusal = app.rejectUpgrade(request, reply, true)
      if (refusal) return done(refusal)
      // Its browser would send a login along. No code could tell its page why: it is not to open a socket at all.
      if (app.isStrictOrigin && !app.mayConnectFrom(request))
        return done(new RuncastError('forbidden', 'Pages of this origin are not allowed.'))
      // The WebSocket plugin would accept it, close it without a code, and log its address with the token.
      done(
        request.routeOptions.config.isSocket || request.is404
          ? undefined
          : new RuncastError('no_route', 'There is no WebSocket at this address.'),
      )
    })
  },
  // After the WebSocket plugin, whose own hook has to know the request: it closes the TCP socket of an upgrade that was refused.
  { name: 'upgrades', dependencies: ['sockets'] },
)
