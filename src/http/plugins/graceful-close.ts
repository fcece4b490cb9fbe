import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'

/** Time for requests in progress once the server has stopped listening. */
const GRACE_MS = 5000

/**
 * Lets requests in progress finish when a node stops, and closes their connections with the response. Requests that
 * take longer than 5 s are cut off.
 */
export const gracefulClose = fp(
  async (app: FastifyInstance, { limit }: { limit: UpgradeLimit }) => {
    app.addHook('onSend', (_request, reply, payload, done) => {
      if (limit.draining) void reply.header('connection', 'close')
      done(null, payload)
    })
    let timer: ReturnType<typeof setTimeout> | undefined
    // Runs after the hook of the sessions: the server stops listening right after these hooks.
    app.addHook('preClose', async () => {
      timer = setTimeout(() => app.server.closeAllConnections(), GRACE_MS)
    })
    app.addHook('onClose', async () => clearTimeout(timer))
  },
  { name: 'graceful-close', dependencies: ['sessions'] },
)
