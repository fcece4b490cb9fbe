import type { Config } from '../config/config.js'
import type { Kinds } from '../core/kind.js'
import type { ReadinessChecks, StoreReport } from '../http/routes/health.js'
import type { Scrape } from '../http/routes/metrics.js'
import { recentMap } from '../hub/recent-map.js'
import { JobService } from '../jobs/job-service.js'
import { workerMetrics } from '../observability/worker-metrics.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { RedisProcesses } from '../storage/redis/processes.js'
import { failedAttempt } from '../worker/failed-attempt.js'
import type { StepContext, Work } from '../worker/implement.js'
import { removeLeftFolders } from '../worker/job-files.js'
import type { AnyProcessor } from '../worker/processor.js'
import { StepWorker } from '../worker/step-worker.js'
import { WorkTally } from '../worker/work-tally.js'
import { KindWorker } from '../worker/worker.js'
import { withBuiltIns } from './define-kind.js'
import { buildParts, faultLogger, type Log, type Parts, storeOf } from './parts.js'
import { processEntry } from './process-entry.js'
import { once } from './service.js'
import { type StartedQueue, startWork } from './start-work.js'

/** Maximum jobs in steps whose wait is remembered, so that each wait is logged once, even if it lasts for hours. */
const MAX_WAITS_KEPT = 1000

/** Any of the workers of a process. */
type AnyWorker = Pick<StepWorker, 'queue' | 'slots' | 'running' | 'jobs' | 'buffered' | 'isConsuming' | 'start' | 'close'>

/** The workers of this process. */
export interface WorkerNode {
  readonly parts: Parts
  /** The queues that it processes. */
  readonly queues: readonly string[]
  /** Readiness checks: `redis` responds, and `jobs` of every queue are being processed. */
  readonly readiness: ReadinessChecks
  /** The report on Redis for `/readyz`. */
  readonly store: () => Promise<StoreReport>
  /** Source of `/metrics`. */
  readonly scrape: Scrape
  start(): Promise<void>
  /** Returns the running jobs to the queue, then ends. Safe to call at any time, also twice. */
  close(): Promise<void>
}

export interface WorkerNodeOptions {
  /** The kinds that this process knows. Default: the built-in ones and those of its work. */
  readonly kinds?: Kinds
  /** Environment of the work: keys, and variables for programs. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Concurrent jobs per kind. Default: the setting of each kind. */
  readonly concurrency?: number
}

/**
 * Builds workers that are not started yet: one per kind that the settings name and a work computes, and one per
 * configured solver. If two works have the same kind, the last one is used. Rejects if a work cannot be prepared
 * (`startWork`), and has released everything then.
 */
export async function buildWorkerNode(
  config: Config,
  work: readonly Work[],
  log: Log,
  { kinds = withBuiltIns(work), env = {}, concurrency }: WorkerNodeOptions = {},
): Promise<WorkerNode> {
  const started = await startWork(config, work, kinds, env, concurrency)
  for (const kind of started.idle) log.warn({ kind }, 'WORKER_KINDS names a kind that no work of this worker computes')
  const parts = buildParts(config, log, kinds)
  const jobs = new JobService(parts)
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const tally = new WorkTally()
  const onFault = faultLogger(log, parts.health, 'worker error')
  const onReconnect = () => parts.reconnects.add()
  const redis = { url: config.REDIS_URL, onFault, onReconnect, store: parts.health }
  const common = { ports: parts, tally, ...redis, prefix: keys.queues(), lockDurationMs: config.WORKER_LOCK_MS }
  const waits = recentMap<string>(MAX_WAITS_KEPT)
  const onWait = (kind: string, id: string, why: string) => {
    if (waits.get(id) !== why) log.warn({ job: id, kind, why }, 'a job in steps waits')
    waits.set(id, why)
  }
  const workerOf = ({ kind, queue, concurrency, computedBy }: StartedQueue): AnyWorker => {
    if (kind.inSteps) {
      const context = {
        ...parts,
        jobs,
        maxEventBytes: config.MAX_EVENT_BYTES,
        onWait: (id: string, why: string) => onWait(kind.name, id, why),
      }
      // ensured by `implement`
      return new StepWorker({ ...common, queue, step: (computedBy as (context: StepContext) => (id: string) => Promise<void>)(context) })
    }
    return new KindWorker({
      ...common,
      kind,
      queue,
      concurrency,
      processor: computedBy as AnyProcessor, // ensured by `implement`
      controlChannel: keys.control(),
      cancelGraceMs: config.CANCEL_GRACE_MS,
      maxEventBytes: config.MAX_EVENT_BYTES,
      log: { maxLogLines: config.MAX_LOG_LINES, maxLogBytes: config.MAX_LOG_BYTES },
      artifacts: parts.artifacts,
      metricIntervalMs: config.METRIC_INTERVAL_MS,
      finishMs: config.WORKER_FINISH_MS,
      onFenced: (id, reason) => log.warn({ job: id, reason }, 'write fenced'),
      onFailed: (id, failure) => log.warn(failedAttempt(id, failure), 'attempt failed'),
    })
  }
  const workers: AnyWorker[] = []
  const processes = new RedisProcesses({ commands: parts.broker.commands, keys, onFault })
  const close = once(async () => {
    await Promise.all(workers.map((worker) => worker.close()))
    await processes.close()
    await started.close()
    await parts.close()
  })
  try {
    for (const each of started.queues) workers.push(workerOf(each))
  } catch (error) {
    await close()
    throw error
  }
  const queues = workers.map(({ queue }) => queue)
  const start = async () => {
    await parts.begun
    await removeLeftFolders(onFault).catch(onFault)
    await Promise.all(workers.map((worker) => worker.start()))
    processes.announce(processEntry('worker', [...new Set(started.queues.map(({ kind }) => kind.name))], workers))
  }
  // A worker needs no subscription to serve.
  const store = storeOf(parts.health, async () => true, config.READY_NEEDS_WRITE === 'yes')
  const readiness = { redis: store.serves, jobs: async () => workers.every(({ isConsuming }) => isConsuming) }
  return { parts, queues, readiness, store: store.report, scrape: workerMetrics({ parts, workers, tally, readiness }), start, close }
}
