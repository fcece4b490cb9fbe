import { RedisKeys } from '../src/broker/redis-keys.js'
import type { Config } from '../src/config.js'
import { buildParts, type Parts, type PartsLog } from '../src/parts.js'
import type { Processor } from './processor.js'
import { KindWorker } from './worker.js'

/** The processor of each kind: the compiler asks for one when a kind is added. */
export interface Processors {
  readonly run: Processor<'run'>
}

/** The workers of this process, put together. */
export interface WorkerNode {
  readonly parts: Parts
  start(): Promise<void>
  /** Hands the running jobs back, then ends. */
  close(): Promise<void>
}

/** Builds workers that do not take jobs yet. */
export function buildWorkerNode(config: Config, processors: Processors, log: PartsLog): WorkerNode {
  const parts = buildParts(config, log)
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const worker = new KindWorker({
    kind: 'run',
    processor: processors.run,
    parts,
    url: config.REDIS_URL,
    prefix: keys.queues(),
    controlChannel: keys.control(),
    concurrency: config.WORKER_CONCURRENCY,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    lockDurationMs: config.WORKER_LOCK_MS,
    onFault: (error) => log.error({ err: error }, 'worker fault'),
  })
  const close = async () => {
    await worker.close()
    await parts.close()
  }
  return { parts, start: () => worker.start(), close }
}
