import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { type Config, loadConfig } from './config.js'
import { systemClock } from './hub/clock.js'
import { DEFAULT_HUB_LIMITS, Hub, type HubLimits } from './hub/hub.js'
import { JobService } from './jobs/job-service.js'
import { endWithParent } from './parent.js'
import { buildParts, checkRedis } from './parts.js'
import { KIND_NAMES } from './protocol/kinds.js'
import { buildServer } from './server.js'

/** A hub process: settings → adapters → server → listen → close in order when told to. */
async function main(): Promise<void> {
  const config = loadConfig(process.env)
  const log = pino({ level: config.LOG_LEVEL })
  await checkRedis({ url: config.REDIS_URL }, log)
  const parts = buildParts(config, log)
  const hub = new Hub(parts.broker, systemClock, hubLimits(config))
  const server = await buildServer({
    hub,
    jobs: new JobService(parts),
    checks: {
      redis: () => parts.broker.ready(),
      ...(config.READY_NEEDS_WORKER === 'yes' && {
        worker: async () => (await Promise.all(KIND_NAMES.map((kind) => parts.queue.workers(kind)))).every((n) => n > 0),
      }),
    },
    jwtSecret: config.JWT_SECRET,
    logLevel: config.LOG_LEVEL,
    sessionLimits: { authTimeoutMs: config.AUTH_TIMEOUT_MS, maxBreachesPerMinute: config.MAX_BREACHES_PER_MINUTE },
    maxInboundBytes: config.MAX_INBOUND_BYTES,
  })
  const grace = closeWithGrace({ delay: 10_000, logger: server.log }, async () => {
    await server.close()
    hub.close()
    await parts.close()
  })
  endWithParent(() => grace.close())
  await server.listen({ port: config.PORT, host: config.HOST })
}

function hubLimits(config: Config): HubLimits {
  return {
    ...DEFAULT_HUB_LIMITS,
    maxOutboxBytes: config.MAX_OUTBOX_BYTES,
    stallMs: config.STALL_MS,
    quietMs: config.QUIET_MS,
    lingerMs: config.LINGER_MS,
  }
}

await main()
