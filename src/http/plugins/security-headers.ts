import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Answers are data: a browser that is made to show one runs and loads nothing, frames it nowhere, and keeps it in no cache. */
export const securityHeaders = fp(
  async (app: FastifyInstance, { isHttps }: { isHttps: boolean }) => {
    await app.register(helmet, {
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
      xFrameOptions: { action: 'deny' },
      // Not where the hub cannot know that there is TLS in front of it.
      strictTransportSecurity: isHttps,
    })
    app.addHook('onRequest', (_request, reply, done) => {
      done(void reply.header('cache-control', 'no-store'))
    })
  },
  { name: 'security-headers' },
)
