import { endWithParent, runMain } from '../../src/app/process.js'
import { buildWorkerNode } from '../../src/app/worker-node.js'
import { loadConfig } from '../../src/config/config.js'
import { runsBy } from '../../test/support/kinds.js'
import { neighbours } from './load.js'

/** A worker process as in production, with a scripted processor for runs. Notifies its parent when it is ready. */
async function main(): Promise<void> {
  const config = loadConfig(process.env, ['REDIS_URL'])
  const load = { perSecond: Number(process.env.LOUD_PER_SECOND), seconds: Number(process.env.LOUD_SECONDS) }
  const log = (fields: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`)
  const node = await buildWorkerNode(config, [runsBy(neighbours(load))], { info: () => {}, warn: log, error: log })
  let closing: Promise<void> | undefined
  const end = () => {
    closing ??= node.close()
    return closing
  }
  process.once('SIGTERM', () => void end().then(() => process.disconnect?.()))
  endWithParent(end)
  await node.start()
  process.send?.('ready')
}

await runMain(main)
