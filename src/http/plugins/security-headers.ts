import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Security headers. Responses are data: a browser that displays one must not run, load or frame anything, nor cache it.
 */
export const securityHeaders = fp(
  async (app: FastifyInstance, { isHttps }: { isHttps: boolean }) => {
    await app.register(helmet, {
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
      xFrameOptions: { action: 'deny' },
      // Only if TLS in front of the hub is known.
      strictTransportSecurity: isHttps,
    })
    app.addHook('onRequest', (_request, reply, done) => {
      done(void reply.header('cache-control', 'no-store'))
    })
  },
  { name: 'security-headers' },
)
