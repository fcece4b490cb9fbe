import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.js'
import type { Kinds } from '../core/kind.js'
import type { ServerOptions } from '../http/server.js'
import type { HostOptions, HubNode } from './hub-node.js'
import type { Log } from './parts.js'

/*
 * A hub for a program of one's own. Fastify and all that a hub needs are imported with the first call, so that a program which only enqueues and watches pays
 * nothing for them.
 */

/** A whole hub in this process: adapters, hub and server, put together from the settings (`loadConfig`). It does not listen yet; whoever builds it closes it. */
export async function buildHubNode(config: Config, log: Log, kinds?: Kinds, host?: HostOptions): Promise<HubNode> {
  return (await import('./hub-node.js')).buildHubNode(config, log, kinds, host)
}

/** A hub's HTTP side alone, as a Fastify instance that does not listen yet, on parts that the caller has built and closes. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  return (await import('../http/server.js')).buildServer(options)
}
