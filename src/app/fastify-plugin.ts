import type { FastifyInstance, FastifyRequest, RegisterOptions } from 'fastify'
import { buildMountedNode, type MountOptions } from './mounted-hub.js'

export type RuncastPluginOptions = MountOptions<FastifyRequest>

/**
 * A hub in a Fastify server of one's own: `app.register(runcast, { prefix: '/runcast', redis: { url }, authenticate })`. It answers what is below the prefix and touches no
 * other route. The hooks of the server run before it. Closing the server moves its clients to other hubs first. Rejects as `mountHub`.
 */
export async function runcast(app: FastifyInstance, given: RuncastPluginOptions): Promise<void> {
  // What Fastify itself takes from the options of any plugin is none of the hub's.
  const {
    logLevel: _logLevel,
    logSerializers: _logSerializers,
    ...options
  } = given as RuncastPluginOptions & RegisterOptions & { logSerializers?: unknown }
  if (app.initialConfig.http2) throw new TypeError('runcast: a server of HTTP/2 serves no WebSockets; use one of HTTP/1.1')
  const { redact } = await import('../http/plugins/request-logging.js')
  const { mountInFastify } = await import('../http/fastify-mount.js')
  // With the prefixes of the contexts around this one.
  const node = await buildMountedNode<FastifyRequest>({ ...options, prefix: app.prefix }, app.log.child({}, { redact }))
  // While the server still answers what is under way, and before it closes its connections.
  app.addHook('preClose', () => node.drain())
  app.addHook('onClose', () => node.close())
  mountInFastify(app, node.mount)
}
