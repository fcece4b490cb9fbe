import Fastify, { type FastifyInstance } from 'fastify'
import { health, type ReadinessChecks, type StoreReport } from './routes/health.js'
import { metricsRoute, type Scrape } from './routes/metrics.js'

/** What a process serves for those who run it, not yet listening: `/livez`, `/readyz` and `/metrics`, on a port that no client knows. It logs nothing, since it is asked all the time. */
export async function buildOperations(
  checks: ReadinessChecks,
  store: () => Promise<StoreReport>,
  scrape: Scrape,
): Promise<FastifyInstance> {
  const http = { headersTimeout: 10_000 }
  const app = Fastify({ logger: false, forceCloseConnections: true, requestTimeout: 15_000, http })
  await app.register(health, { checks, store })
  await app.register(metricsRoute, { scrape })
  return app
}
