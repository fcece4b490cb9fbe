import type { Test } from 'tap'
import { buildWorkerNode, type WorkerNode } from '../../src/app/worker-node.js'
import type { Harness } from './harness.js'
import { type RunProcessor, runsBy } from './kinds.js'

/** Starts another worker of runs in this process, on the Redis of a harness. */
export async function startLateWorker(t: Test, harness: Harness, run: RunProcessor): Promise<WorkerNode> {
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => harness.faults.push(fields) }
  const worker = await buildWorkerNode(harness.config, [runsBy(run)], log)
  await worker.start()
  t.teardown(() => worker.close())
  return worker
}
