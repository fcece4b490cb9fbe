import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.js'
import type { Kinds } from '../core/kind.js'
import type { ServerOptions } from '../http/server.js'
import type { HostOptions, HubNode } from './hub-node.js'
import type { Log } from './parts.js'

/**
 * Fastify and all that a hub needs are imported on the first call, so that programs that only enqueue and watch do not
 * load them.
 */

/** Builds a complete hub from the settings (`loadConfig`). It does not listen yet; the caller closes it. */
export async function buildHubNode(config: Config, log: Log, kinds?: Kinds, host?: HostOptions): Promise<HubNode> {
  return (await import('./hub-node.js')).buildHubNode(config, log, kinds, host)
}

/**
 * Builds only the HTTP server of a hub, as a Fastify instance that does not listen yet. The caller builds and closes
 * the services in `options`.
 */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  return (await import('../http/server.js')).buildServer(options)
}
