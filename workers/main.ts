import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { loadConfig } from '../src/config.js'
import { checkRedis } from '../src/parts.js'
import { endWithParent, runMain } from '../src/process.js'
import { solveRun } from './solver/horn-2d.js'
import { buildWorkerNode } from './worker-node.js'

/** A worker process: takes jobs, and hands them back when it is told to stop. */
async function main(): Promise<void> {
  const config = loadConfig(process.env, ['REDIS_URL'])
  const log = pino({ level: config.LOG_LEVEL })
  await checkRedis({ url: config.REDIS_URL }, log)
  const node = buildWorkerNode(config, { run: solveRun }, log)
  const grace = closeWithGrace({ delay: config.CANCEL_GRACE_MS + 15_000, logger: log }, () => node.close())
  endWithParent(() => grace.close())
  await node.start()
  log.info({ kind: 'run' }, 'worker takes jobs')
}

await runMain(main)
