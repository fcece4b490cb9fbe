import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { loadConfig } from '../src/config.js'
import { redact } from '../src/http/plugins/request-logging.js'
import { checkRedis } from '../src/parts.js'
import { endWithParent, runMain } from '../src/process.js'
import { startProcessors } from './processors.js'
import { buildWorkerNode } from './worker-node.js'

/** A worker process: takes jobs, and hands them back when it is told to stop. */
async function main(): Promise<void> {
  const config = loadConfig(process.env, ['REDIS_URL'])
  const log = pino({ level: config.LOG_LEVEL, redact })
  await checkRedis({ url: config.REDIS_URL }, log)
  const { processors, close } = await startProcessors(config, process.env)
  const node = buildWorkerNode(config, processors, log)
  const grace = closeWithGrace({ delay: config.CANCEL_GRACE_MS + 15_000, logger: log }, async () => {
    await node.close()
    await close()
  })
  endWithParent(() => grace.close())
  await node.start()
  log.info({ kinds: config.WORKER_KINDS }, 'worker takes jobs')
}

await runMain(main)
