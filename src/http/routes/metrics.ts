import type { FastifyPluginAsync } from 'fastify'
import Type from 'typebox'

/** Metrics of a process for Prometheus. */
export interface Scrape {
  readonly contentType: string
  /** Resolves within about a second, even if Redis does not respond. Values that are not known by then are omitted. */
  text(): Promise<string>
}

/**
 * `/metrics`: metrics of this process in the Prometheus text format. It needs no token, and names no user and no job.
 */
export const metricsRoute: FastifyPluginAsync<{ scrape: Scrape }> = async (app, { scrape }) => {
  const content = { 'text/plain': { schema: Type.String() } }
  const response = { 200: { description: 'in the text format of Prometheus', content } }
  const schema = { tags: ['operations'], security: [], operationId: 'getMetrics', summary: 'Metrics for Prometheus', response }
  app.get('/metrics', { schema, config: { isUnlimited: true } }, async (_request, reply) =>
    reply
      .type(scrape.contentType)
      .serializer(String)
      .send(await scrape.text()),
  )
}
