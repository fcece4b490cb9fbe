import { RedisKeys } from '../src/broker/redis-keys.js'
import type { Config } from '../src/config.js'
import { buildParts, type Parts, type PartsLog } from '../src/parts.js'
import { type KindName, queueOf } from '../src/protocol/kinds.js'
import type { Processors } from './processors.js'
import { KindWorker } from './worker.js'

/** The workers of this process, put together. */
export interface WorkerNode {
  readonly parts: Parts
  start(): Promise<void>
  /** Hands the running jobs back, then ends. */
  close(): Promise<void>
}

/** Builds workers that do not take jobs yet: one for each kind that the settings name. */
export function buildWorkerNode(config: Config, processors: Processors, log: PartsLog): WorkerNode {
  const parts = buildParts(config, log)
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const concurrency = { run: config.WORKER_CONCURRENCY, benchmark: config.BENCHMARK_CONCURRENCY }
  const workerOf = <K extends KindName>(kind: K): Pick<KindWorker<K>, 'start' | 'close'> =>
    new KindWorker<K>({
      kind,
      queue: queueOf({ kind, solver: null }),
      processor: processors[kind],
      parts,
      url: config.REDIS_URL,
      prefix: keys.queues(),
      controlChannel: keys.control(),
      concurrency: concurrency[kind],
      cancelGraceMs: config.CANCEL_GRACE_MS,
      finishMs: config.WORKER_FINISH_MS,
      lockDurationMs: config.WORKER_LOCK_MS,
      onFault: (error) => log.error({ err: error }, 'worker fault'),
      onFenced: (id, reason) => log.warn({ job: id, reason }, 'write fenced'),
    })
  const workers = [...new Set(config.WORKER_KINDS)].map((kind) => workerOf(kind))
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.close()))
    await parts.close()
  }
  const start = async () => {
    await Promise.all(workers.map((worker) => worker.start()))
  }
  return { parts, start, close }
}
