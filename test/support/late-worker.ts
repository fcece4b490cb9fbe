import type { Test } from 'tap'
import { buildWorkerNode, type WorkerNode } from '../../src/app/worker-node.js'
import type { Harness } from './harness.js'
import { type RunProcessor, runsBy } from './kinds.js'

/** Another worker of runs on the Redis of a harness, in this process, from now on. */
export async function startLateWorker(t: Test, harness: Harness, run: RunProcessor): Promise<WorkerNode> {
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => harness.faults.push(fields) }
  const worker = await buildWorkerNode(harness.config, [runsBy(run)], log)
  await worker.start()
  t.teardown(() => worker.close())
  return worker
}
