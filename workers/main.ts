import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { RedisKeys } from '../src/broker/redis-keys.js'
import { loadConfig } from '../src/config.js'
import { endWithParent } from '../src/parent.js'
import { buildParts, checkRedis } from '../src/parts.js'
import { solveRun } from './solver/horn-2d.js'
import { KindWorker } from './worker.js'

/** A worker process: takes jobs of every kind that it has a processor for, and hands them back when it is told to stop. */
async function main(): Promise<void> {
  const config = loadConfig(process.env)
  const log = pino({ level: config.LOG_LEVEL })
  await checkRedis({ url: config.REDIS_URL }, log)
  const parts = buildParts(config, log)
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const worker = new KindWorker({
    kind: 'run',
    processor: solveRun,
    parts,
    url: config.REDIS_URL,
    prefix: keys.queues(),
    controlChannel: keys.control(),
    concurrency: config.WORKER_CONCURRENCY,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    lockDurationMs: config.WORKER_LOCK_MS,
    onFault: (error) => log.error({ err: error }, 'worker fault'),
  })
  const grace = closeWithGrace({ delay: 10_000, logger: log }, async () => {
    await worker.close()
    await parts.close()
  })
  endWithParent(() => grace.close())
  await worker.start()
  log.info({ kind: 'run' }, 'worker takes jobs')
}

await main()
