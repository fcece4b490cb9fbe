import fastifySwagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Holds browsers to "nothing from elsewhere", whatever the page's script would like. */
const POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

/** OpenAPI of all routes at `/docs`, made from the schemas that validate them. Nothing is loaded from elsewhere. */
export const docs = fp(
  async (app: FastifyInstance) => {
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'runcast', description: 'Live progress of long-running jobs.', version: '2' },
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
        security: [{ bearer: [] }],
      },
    })
    await app.register(scalar, {
      routePrefix: '/docs',
      configuration: { withDefaultFonts: false, telemetry: false },
      hooks: { onRequest: (_request, reply, done) => done(void reply.header('content-security-policy', POLICY)) },
    })
  },
  { name: 'docs' },
)
