import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { loadConfig } from '../config/config.js'
import { buildOperations } from '../http/operations.js'
import { redact } from '../http/plugins/request-logging.js'
import type { Work } from '../worker/implement.js'
import { loadKinds } from './load-kinds.js'
import { checkRedis } from './parts.js'
import { endWithParent } from './process.js'
import { startTracing } from './start-tracing.js'
import { buildWorkerNode } from './worker-node.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Added to the time of the jobs at shutdown, for a Redis that does not respond: the worker has its own timeouts for it.
 */
const CLOSE_MS = 15_000

/**
 * Starts a worker process with the built-in kinds and those of `KINDS_MODULES`. On a signal it returns unfinished jobs
 * to the queue. It ends after at most `WORKER_FINISH_MS` + `CANCEL_GRACE_MS` + 15 s.
 */
export async function startWorkerProcess(env: Environment, builtIn: readonly Work[]): Promise<void> {
  const { kinds, work } = await loadKinds(env)
  // A worker verifies no tokens, so it must not hold the keys: the programs that it runs could read them.
  const config = loadConfig(env, ['REDIS_URL'], false, kinds)
  const log = pino({ level: config.LOG_LEVEL, redact })
  const tracing = await startTracing(env, 'runcast-worker', log)
  await checkRedis({ url: config.REDIS_URL }, log)
  const node = await buildWorkerNode(config, [...builtIn, ...work], log, { kinds, env })
  const operations = config.METRICS_PORT === 0 ? null : await buildOperations(node.readiness, node.store, node.scrape)
  const delay = config.WORKER_FINISH_MS + config.CANCEL_GRACE_MS + CLOSE_MS
  const grace = closeWithGrace({ delay, logger: log }, async () => {
    await node.close()
    await tracing.close()
    // Last, so that probes and metrics work until the end.
    await operations?.close()
  })
  endWithParent(() => grace.close())
  await operations?.listen({ port: config.METRICS_PORT, host: config.HOST })
  await node.start()
  log.info({ kinds: config.WORKER_KINDS, queues: node.queues }, 'worker takes jobs')
}
