import { endWithParent, runMain } from '../../src/app/process.js'
import { buildWorkerNode } from '../../src/app/worker-node.js'
import { loadConfig } from '../../src/config/config.js'
import { runsBy } from '../../test/support/kinds.js'
import { neighbours } from './load.js'

/** A worker process as in production, but for what its runs do. Tells its parent once it takes jobs. */
async function main(): Promise<void> {
  const config = loadConfig(process.env, ['REDIS_URL'])
  const load = { perSecond: Number(process.env.LOUD_PER_SECOND), seconds: Number(process.env.LOUD_SECONDS) }
  const complain = (fields: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`)
  const node = await buildWorkerNode(config, [runsBy(neighbours(load))], { info: () => {}, warn: complain, error: complain })
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
