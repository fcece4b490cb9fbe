import type { Test } from 'tap'
import { buildWorkerNode, type WorkerNode } from '../../src/app/worker-node.js'
import type { Processor } from '../../src/worker/processor.js'
import type { Harness } from './harness.js'

/** Another worker of runs on the Redis of a harness, in this process, from now on. */
export async function startLateWorker(t: Test, harness: Harness, run: Processor<'run'>): Promise<WorkerNode> {
  const benchmark = () => Promise.reject(new Error('no benchmarks here'))
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => harness.faults.push(fields) }
  const worker = buildWorkerNode(harness.config, { run, benchmark }, log)
  await worker.start()
  t.teardown(() => worker.close())
  return worker
}
