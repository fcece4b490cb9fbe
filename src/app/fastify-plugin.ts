import type { FastifyInstance, FastifyRequest, RegisterOptions } from 'fastify'
import { buildMountedNode, type MountOptions } from './mounted-hub.js'

export type RuncastPluginOptions = MountOptions<FastifyRequest>

/**
 * A hub in the user's own Fastify server: `app.register(runcast, { prefix: '/runcast', redis: { url }, authenticate
 * })`. It answers requests below the prefix and affects no other route. The hooks of the server run first. Closing the
 * server first moves its clients to other hubs. Rejects as `mountHub`.
 */
export async function runcast(app: FastifyInstance, given: RuncastPluginOptions): Promise<void> {
  // Fastify reads these options of every plugin itself.
  const {
    logLevel: _logLevel,
    logSerializers: _logSerializers,
    ...options
  } = given as RuncastPluginOptions & RegisterOptions & { logSerializers?: unknown }
  if (app.initialConfig.http2) throw new TypeError('runcast: an HTTP/2 server cannot serve WebSockets; use HTTP/1.1')
  const { redact } = await import('../http/plugins/request-logging.js')
  const { mountInFastify } = await import('../http/fastify-mount.js')
  // Includes the prefixes of the enclosing contexts.
  const node = await buildMountedNode<FastifyRequest>({ ...options, prefix: app.prefix }, app.log.child({}, { redact }))
  // Before the server closes its connections, while it still answers requests in progress.
  app.addHook('preClose', () => node.drain())
  app.addHook('onClose', () => node.close())
  mountInFastify(app, node.mount)
}
