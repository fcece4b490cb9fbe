import type { FastifyPluginAsync } from 'fastify'
import Type from 'typebox'

/** What a process tells Prometheus. */
export interface Scrape {
  readonly contentType: string
  /** Answers within about a second, also where Redis does not; what is not known then is left out. */
  text(): Promise<string>
}

/** `/metrics`: numbers of this process, in the text format of Prometheus. Open to all who reach the port: it names no user and no job. */
export const metricsRoute: FastifyPluginAsync<{ scrape: Scrape }> = async (app, { scrape }) => {
  const schema = { tags: ['operations'], security: [], summary: 'Metrics for Prometheus', response: { 200: Type.String() } }
  app.get('/metrics', { schema, config: { isUnlimited: true } }, async (_request, reply) =>
    reply
      .type(scrape.contentType)
      .serializer(String)
      .send(await scrape.text()),
  )
}
