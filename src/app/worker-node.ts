import { stepOptimization } from '../../workers/optimization/optimization-step.js'
import type { Config } from '../config/config.js'
import { type ComputedKindName, isComputedKind, queueOf } from '../core/kinds.js'
import type { ReadinessChecks, StoreReport } from '../http/routes/health.js'
import type { Scrape } from '../http/routes/metrics.js'
import { recentMap } from '../hub/recent-map.js'
import { JobService } from '../jobs/job-service.js'
import { workerMetrics } from '../observability/worker-metrics.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { failedAttempt } from '../worker/failed-attempt.js'
import { StepWorker } from '../worker/step-worker.js'
import { WorkTally } from '../worker/work-tally.js'
import { KindWorker, type WorkerOptions } from '../worker/worker.js'
import { definedWorks } from './define-kind.js'
import { buildParts, faultsTo, type Log, type Parts, storeOf } from './parts.js'
import type { Processors } from './processors.js'
import type { SolverProcessor } from './solver-processors.js'
import { ownKinds } from './worker-queues.js'

/** Optimizations whose wait has been logged: each one once, also where it waits for hours. */
const MAX_WAITS_KEPT = 1000

/** What differs between the workers of a process. */
type Work<K extends ComputedKindName> = Pick<WorkerOptions<K>, 'queue' | 'processor' | 'concurrency'>

/** One worker of a process, whatever it takes. */
type Taker = Pick<StepWorker, 'queue' | 'slots' | 'running' | 'buffered' | 'isTaking' | 'start' | 'close'>

/** The workers of this process, put together. */
export interface WorkerNode {
  readonly parts: Parts
  /** Those that it takes from. */
  readonly queues: readonly string[]
  /** What it needs to be ready: `redis` answers, and it takes `jobs` from every one of its queues. */
  readonly readiness: ReadinessChecks
  /** What its `/readyz` says of Redis. */
  readonly store: () => Promise<StoreReport>
  /** Its `/metrics`. */
  readonly scrape: Scrape
  start(): Promise<void>
  /** Hands the running jobs back, then ends. */
  close(): Promise<void>
}

/** Builds workers that do not take jobs yet: one for each kind that the settings name, and one for each configured solver. */
export function buildWorkerNode(config: Config, processors: Processors, log: Log, solvers: readonly SolverProcessor[] = []): WorkerNode {
  const parts = buildParts(config, log)
  const jobs = new JobService(parts)
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const own = Object.fromEntries(definedWorks().map(({ name, concurrency }) => [name, concurrency]))
  const concurrency = { ...own, run: config.WORKER_CONCURRENCY, benchmark: config.BENCHMARK_CONCURRENCY }
  const tally = new WorkTally()
  const onFault = faultsTo(log, parts.health, 'worker fault')
  const onReconnect = () => parts.reconnects.add()
  const redis = { url: config.REDIS_URL, onFault, onReconnect, store: parts.health }
  const common = { ports: parts, tally, ...redis, prefix: keys.queues(), lockDurationMs: config.WORKER_LOCK_MS }
  const workerOf = <K extends ComputedKindName>(kind: K, work: Work<K>): Taker =>
    new KindWorker<K>({
      kind,
      ...work,
      ...common,
      controlChannel: keys.control(),
      cancelGraceMs: config.CANCEL_GRACE_MS,
      maxEventBytes: config.MAX_EVENT_BYTES,
      finishMs: config.WORKER_FINISH_MS,
      onFenced: (id, reason) => log.warn({ job: id, reason }, 'write fenced'),
      onFailed: (id, failure) => log.warn(failedAttempt(id, failure), 'attempt failed'),
    })
  const waits = recentMap<string>(MAX_WAITS_KEPT)
  const onWait = (id: string, why: string) => {
    if (waits.get(id) !== why) log.warn({ job: id, why }, 'an optimization waits')
    waits.set(id, why)
  }
  const step = (id: string) => stepOptimization({ ...parts, jobs, maxEventBytes: config.MAX_EVENT_BYTES, onWait }, id)
  const stepWorker = () => new StepWorker({ ...common, queue: queueOf({ kind: 'optimization', solver: null }), step })
  const ownOf = <K extends ComputedKindName>(kind: K): Work<K> => ({
    queue: queueOf({ kind, solver: null }),
    processor: processors[kind],
    concurrency: concurrency[kind],
  })
  const kinds = ownKinds(config)
  const ownWorkers = kinds.map((kind) => (isComputedKind(kind) ? workerOf(kind, ownOf(kind)) : stepWorker()))
  const workers = [...ownWorkers, ...solvers.map((solver) => workerOf('run', solver))]
  const queues = workers.map(({ queue }) => queue)
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.close()))
    await parts.close()
  }
  const start = async () => {
    await parts.begun
    await Promise.all(workers.map((worker) => worker.start()))
  }
  // A worker publishes, and subscribes to nothing that it would have to hear.
  const store = storeOf(parts.health, async () => true, config.READY_NEEDS_WRITE === 'yes')
  const readiness = { redis: store.serves, jobs: async () => workers.every(({ isTaking }) => isTaking) }
  return { parts, queues, readiness, store: store.report, scrape: workerMetrics({ parts, workers, tally, readiness }), start, close }
}
