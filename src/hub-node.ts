import type { FastifyInstance } from 'fastify'
import type { Config } from './config.js'
import { JobService } from './jobs/job-service.js'
import { buildHub, buildParts, type Parts, type PartsLog } from './parts.js'
import { RUN_KIND_NAMES } from './protocol/kinds.js'
import { buildServer } from './server.js'

/** A hub in this process: adapters, hub and server, put together. */
export interface HubNode {
  readonly server: FastifyInstance
  readonly parts: Parts
  readonly jobs: JobService
  /** Closes the sessions, then the server, then the adapters. */
  close(): Promise<void>
}

/** Builds a hub that does not listen yet. */
export async function buildHubNode(config: Config, log: PartsLog): Promise<HubNode> {
  const parts = buildParts(config, log)
  const hub = buildHub(config, parts)
  const jobs = new JobService(parts)
  const hasWorkers = async () => {
    const counts = await Promise.all(RUN_KIND_NAMES.map((kind) => parts.queue.workers(kind)))
    return counts.every((count) => count > 0)
  }
  const server = await buildServer({
    hub,
    jobs,
    checks: { redis: () => parts.broker.ready(), ...(config.READY_NEEDS_WORKER === 'yes' && { worker: hasWorkers }) },
    jwtSecret: config.JWT_SECRET,
    logLevel: config.LOG_LEVEL,
    sessionLimits: {
      authTimeoutMs: config.AUTH_TIMEOUT_MS,
      pingIntervalMs: config.PING_INTERVAL_MS,
      idleMs: config.IDLE_MS,
      expiryWarningMs: config.EXPIRY_WARNING_MS,
      expiryGraceMs: config.EXPIRY_GRACE_MS,
      maxBreachesPerMinute: config.MAX_BREACHES_PER_MINUTE,
      maxMessagesPerSecond: config.MAX_MESSAGES_PER_SECOND,
    },
    userLimits: { maxSubscriptions: config.MAX_SUBSCRIPTIONS },
    maxInboundBytes: config.MAX_INBOUND_BYTES,
  })
  const close = async () => {
    await server.close()
    hub.close()
    await parts.close()
  }
  return { server, parts, jobs, close }
}
