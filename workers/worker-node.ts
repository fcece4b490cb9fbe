import { RedisKeys } from '../src/broker/redis-keys.js'
import type { Config } from '../src/config.js'
import { definedWorks } from '../src/define-kind.js'
import { JobService } from '../src/jobs/job-service.js'
import { buildParts, type Parts, type PartsLog } from '../src/parts.js'
import { type ComputedKindName, isComputedKind, queueOf } from '../src/protocol/kinds.js'
import type { Processors } from './processors.js'
import { StepWorker } from './step-worker.js'
import { stepOptimization } from './steps/optimization-step.js'
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
  const jobs = new JobService(parts)
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const own = Object.fromEntries(definedWorks().map(({ name, concurrency }) => [name, concurrency]))
  const concurrency = { ...own, run: config.WORKER_CONCURRENCY, benchmark: config.BENCHMARK_CONCURRENCY }
  const workerOf = <K extends ComputedKindName>(kind: K): Pick<KindWorker<K>, 'start' | 'close'> =>
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
  const stepWorker = () =>
    new StepWorker({
      queue: queueOf({ kind: 'optimization', solver: null }),
      step: (id) => stepOptimization({ ...parts, jobs }, id),
      parts,
      url: config.REDIS_URL,
      prefix: keys.queues(),
      onFault: (error) => log.error({ err: error }, 'worker fault'),
    })
  const workers = [...new Set(config.WORKER_KINDS)].map((kind) => (isComputedKind(kind) ? workerOf(kind) : stepWorker()))
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.close()))
    await parts.close()
  }
  const start = async () => {
    await Promise.all(workers.map((worker) => worker.start()))
  }
  return { parts, start, close }
}
