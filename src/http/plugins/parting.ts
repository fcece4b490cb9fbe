import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'

/** How long a request may still take once the server has closed its door. */
const PATIENCE_MS = 5000

/** Requests that are under way when a node stops: they are answered, and their connections end with the answer; those that take longer than 5 s are cut off. */
export const parting = fp(
  async (app: FastifyInstance, { limit }: { limit: UpgradeLimit }) => {
    app.addHook('onSend', (_request, reply, payload, done) => {
      if (limit.draining) void reply.header('connection', 'close')
      done(null, payload)
    })
    let timer: ReturnType<typeof setTimeout> | undefined
    // After the one of the sessions: the door is closed right after these.
    app.addHook('preClose', async () => {
      timer = setTimeout(() => app.server.closeAllConnections(), PATIENCE_MS)
    })
    app.addHook('onClose', async () => clearTimeout(timer))
  },
  { name: 'parting', dependencies: ['sessions'] },
)
