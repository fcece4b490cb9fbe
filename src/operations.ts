import Fastify, { type FastifyInstance } from 'fastify'
import { health, type ReadinessChecks } from './http/routes/health.js'

/** What a process serves for those who run it, not yet listening: `/livez` and `/readyz`, on a port that no client knows. It logs nothing, since it is asked all the time. */
export async function buildOperations(checks: ReadinessChecks): Promise<FastifyInstance> {
  const app = Fastify({ logger: false, forceCloseConnections: true })
  await app.register(health, { checks })
  return app
}
