import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hostFaults, proxyFault } from './host-faults.js'
import { HostUpgrades } from './host-upgrades.js'
import type { Mount } from './mount.js'

/**
 * Mounts a hub in a context of a Fastify server, below the prefix of that context. The hooks of the server run first, as for any route of its own, so that its login can
 * read cookies and sessions; what answers is the hub's own instance.
 */
export function mountInFastify(app: FastifyInstance, mount: Mount): void {
  // Nobody reads a body before the hub does.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  let hasLookedAtProxies = false
  const lookAtProxies = (request: FastifyRequest) => {
    if (hasLookedAtProxies) return
    const fault = proxyFault(request)
    hasLookedAtProxies = fault !== null || request.ips !== undefined
    if (fault) app.log.warn(fault, 'a setting of this server leaves a limit of the hub open')
  }

  // The last hook, and not the handler: that one is replaced by `@fastify/websocket` where an upgrade comes.
  const handOver = (request: FastifyRequest, reply: FastifyReply) => {
    lookAtProxies(request)
    const { raw, ip, protocol, host } = request
    const visitor = { request, ip, protocol, host }
    reply.hijack()
    const upgrade = HostUpgrades.of(app).take(raw)
    if (!upgrade) return mount.handle(raw, reply.raw, visitor)
    reply.raw.detachSocket(raw.socket)
    mount.upgrade(raw, upgrade.socket, upgrade.head, visitor)
  }
  const schema = { hide: true }
  // Else `@fastify/cors` of the server answers the preflights of the hub, by rules that are not the hub's.
  const config: FastifyContextConfig & { readonly cors: false } = { cors: false }
  for (const url of ['/', '/*']) {
    app.route({ method: app.supportedMethods, url, schema, config, exposeHeadRoute: false, preHandler: handOver, handler: () => {} })
  }

  app.addHook('onReady', async () => {
    HostUpgrades.of(app).add(mount)
    for (const fault of hostFaults(app)) app.log.warn(fault, 'a setting of this server leaves a limit of the hub open')
  })
}
