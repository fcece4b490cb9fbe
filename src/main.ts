import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { buildHubNode } from './app/hub-node.js'
import { loadKinds } from './app/load-kinds.js'
import { checkRedis } from './app/parts.js'
import { endWithParent, runMain } from './app/process.js'
import { startTracing } from './app/start-tracing.js'
import { loadConfig } from './config/config.js'
import { redact } from './http/plugins/request-logging.js'

/**
 * Growth of the heap between two full collections, in % of the live heap after the last one. By default V8 lets a small
 * heap grow to four times its size: large rejected bodies would leave 300 MB of garbage in a hub that needs 90.
 */
const HEAP_GROWTH_PCT = 40

/** Starts a hub process: settings → adapters → server → listen. A signal closes it in order. */
async function main(): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PCT}`)
  const { kinds } = await loadKinds(process.env)
  const config = loadConfig(process.env, ['REDIS_URL'], true, kinds)
  const log = pino({ level: config.LOG_LEVEL, redact })
  const tracing = await startTracing(process.env, 'runcast-hub', log)
  await checkRedis({ url: config.REDIS_URL }, log)
  const node = await buildHubNode(config, log, kinds)
  const grace = closeWithGrace({ delay: config.DRAIN_MS + 10_000, logger: log }, async () => {
    await node.close()
    await tracing.close()
  })
  endWithParent(() => grace.close())
  await node.operations?.listen({ port: config.METRICS_PORT, host: config.HOST })
  await node.server.listen({ port: config.PORT, host: config.HOST })
}

await runMain(main)
