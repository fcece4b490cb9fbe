import type { Socket } from 'node:net'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hostFaults, proxyFault } from './host-faults.js'
import { HostUpgrades } from './host-upgrades.js'
import type { Mount } from './mount.js'

/**
 * Mounts a hub in a context of a Fastify server, below the prefix of that context. The hooks of the server run first,
 * as for any of its own routes, so its login can read cookies and sessions. The hub's own Fastify instance answers.
 */
export function mountInFastify(app: FastifyInstance, mount: Mount): void {
  // The body is left for the hub to read.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  let hasCheckedProxies = false
  const checkProxies = (request: FastifyRequest) => {
    if (hasCheckedProxies) return
    const fault = proxyFault(request)
    hasCheckedProxies = fault !== null || request.ips !== undefined
    if (fault) app.log.warn(fault, 'a setting of this server leaves a limit of the hub open')
  }

  // A hook and not the handler: `@fastify/websocket` replaces the handler for upgrades.
  const handOver = (request: FastifyRequest, reply: FastifyReply) => {
    checkProxies(request)
    const { raw, ip, protocol, host } = request
    // The router may match other spellings of the path: `%72uns`, capitals, two slashes. The hub does not.
    if (!mount.has(raw)) return reply.callNotFound()
    const visitor = { request, ip, protocol, host }
    reply.hijack()
    const upgrade = HostUpgrades.of(app).take(raw)
    if (!upgrade) return mount.handle(raw, reply.raw, visitor)
    reply.raw.detachSocket(upgrade.socket as Socket) // as it was assigned
    mount.upgrade(raw, upgrade.socket, upgrade.head, visitor)
  }
  const schema = { hide: true }
  // Without this, `@fastify/cors` of the server would answer the hub's preflights by its own rules.
  const config: FastifyContextConfig & { readonly cors: false } = { cors: false }
  for (const url of ['/', '/*']) {
    app.route({ method: app.supportedMethods, url, schema, config, exposeHeadRoute: false, preHandler: handOver, handler: () => {} })
  }

  app.addHook('onReady', async () => {
    HostUpgrades.of(app).add(mount)
    for (const fault of hostFaults(app)) app.log.warn(fault, 'a setting of this server leaves a limit of the hub open')
  })
}
