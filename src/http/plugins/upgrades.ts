import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'
import { RuncastError } from '../../protocol/codes.js'
import { asksForWebSocket, ignoreOtherUpgrades } from '../other-upgrades.js'
import { whyNotFrom } from './origins.js'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyContextConfig {
    /** This route serves a WebSocket. */
    isSocket?: boolean
  }
  interface FastifyInstance {
    /**
     * Requests a slot for a live connection on this node. Null if there is one, else the error, with `Retry-After` set
     * on the reply. `isAnonymous`: the client is not authenticated yet.
     */
    rejectUpgrade(request: FastifyRequest, reply: FastifyReply, isAnonymous?: boolean): RuncastError | null
  }
}

/**
 * Rejects upgrades that the node cannot accept with 503 and `Retry-After`, before the handshake. All other sockets are
 * accepted before they are closed with a code.
 */
export const upgrades = fp(
  async (app: FastifyInstance, { limit }: { limit: UpgradeLimit }) => {
    ignoreOtherUpgrades(app.server)
    app.decorate('rejectUpgrade', (request: FastifyRequest, reply: FastifyReply, isAnonymous?: boolean): RuncastError | null => {
      const seconds = limit.refuse(app.visitorOf(request).ip, app.sessions.size, isAnonymous)
      if (seconds === null) return null
      void reply.header('retry-after', String(seconds))
      const why = limit.draining ? 'This server is stopping' : 'This server accepts no more sockets right now'
      return new RuncastError(limit.draining ? 'restart' : 'overloaded', `${why}; try again after ${seconds} s.`)
    })
    // Synchronous: no other request may run between this check and the creation of the socket.
    app.addHook('onRequest', (request, reply, done) => {
      if (!asksForWebSocket(request.raw)) return done()
      const failure = app.rejectUpgrade(request, reply, true)
      if (failure) return done(failure)
      // The browser would send the login along. It must not open a socket, although its page cannot read the reason.
      if (app.isStrictOrigin && !app.mayConnectFrom(request)) return done(new RuncastError('forbidden', whyNotFrom(request)))
      // The WebSocket plugin would accept it, close it without a code, and log its URL with the token.
      done(
        request.routeOptions.config.isSocket || request.is404
          ? undefined
          : new RuncastError('no_route', 'No WebSocket is served at this address.'),
      )
    })
  },
  // Registered after the WebSocket plugin, whose hook must see the request first: it closes the TCP socket of a
  // rejected upgrade.
  { name: 'upgrades', dependencies: ['sockets'] },
)
