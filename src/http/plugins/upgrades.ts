import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { UpgradeLimit } from '../../hub/upgrade-limit.js'
import { Refusal } from '../../protocol/codes.js'

/** Answers a WebSocket upgrade that a node does not take with 503 and `Retry-After`, before the handshake: the one case in which a socket is not accepted first. */
export const upgrades = fp(
  async (app: FastifyInstance, { limit }: { limit: UpgradeLimit }) => {
    // Not async: between this look and the socket that is added no other request may come.
    app.addHook('onRequest', (request, reply, done) => {
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') return done()
      const seconds = limit.refuse(request.ip, app.sessions.size)
      if (seconds === null) return done()
      void reply.header('retry-after', String(seconds))
      const why = limit.draining ? 'This server is stopping' : 'This server takes no more sockets right now'
      done(new Refusal(limit.draining ? 'restart' : 'overloaded', `${why}; try again after ${seconds} s.`))
    })
  },
  // After the WebSocket plugin, whose own hook has to know the request: it closes the TCP socket of an upgrade that was refused.
  { name: 'upgrades', dependencies: ['sockets'] },
)
