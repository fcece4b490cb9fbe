import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { type Config, loadConfig } from '../config/config.js'
import { loadKinds } from '../config/load-kinds.js'
import { buildOperations } from '../http/operations.js'
import { redact } from '../http/plugins/request-logging.js'
import { checkRedis } from './parts.js'
import { endWithParent } from './process.js'
import type { RunningProcessors } from './processors.js'
import { buildWorkerNode } from './worker-node.js'

type Environment = Readonly<Record<string, string | undefined>>

/** On top of what jobs are given when a worker stops: for a Redis that does not answer, which the worker waits for on its own clocks. */
const CLOSE_MS = 15_000

/** A worker process: takes jobs, and hands back what has not ended when it is told to stop. It has ended after `WORKER_FINISH_MS` + `CANCEL_GRACE_MS` + 15 s, whatever happens. */
export async function startWorkerProcess(
  env: Environment,
  startProcessors: (config: Config, env: Environment) => Promise<RunningProcessors>,
): Promise<void> {
  await loadKinds(env)
  // What checks no token needs no key, and the programs that it runs cannot read what it has not got.
  const config = loadConfig(env, ['REDIS_URL'], false)
  const log = pino({ level: config.LOG_LEVEL, redact })
  await checkRedis({ url: config.REDIS_URL }, log)
  const { processors, solvers, close } = await startProcessors(config, env)
  const node = buildWorkerNode(config, processors, log, solvers)
  const operations = config.METRICS_PORT === 0 ? null : await buildOperations(node.readiness, node.store, node.scrape)
  const delay = config.WORKER_FINISH_MS + config.CANCEL_GRACE_MS + CLOSE_MS
  const grace = closeWithGrace({ delay, logger: log }, async () => {
    await node.close()
    await close()
    // Last, so that whoever runs the worker sees it to its end.
    await operations?.close()
  })
  endWithParent(() => grace.close())
  await operations?.listen({ port: config.METRICS_PORT, host: config.HOST })
  await node.start()
  log.info({ kinds: config.WORKER_KINDS, queues: node.queues }, 'worker takes jobs')
}
