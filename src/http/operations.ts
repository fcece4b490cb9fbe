import Fastify, { type FastifyInstance } from 'fastify'
import { health, type ReadinessChecks, type StoreReport } from './routes/health.js'
import { metricsRoute, type Scrape } from './routes/metrics.js'

/**
 * Builds the server for operators: `/livez`, `/readyz` and `/metrics`, on a port that clients do not know. It does not
 * listen yet. It logs no requests, since probes are frequent.
 */
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
