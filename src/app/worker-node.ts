import type { Config } from '../config/config.js'
import type { Kinds } from '../core/kind.js'
import type { ReadinessChecks, StoreReport } from '../http/routes/health.js'
import type { Scrape } from '../http/routes/metrics.js'
import { recentMap } from '../hub/recent-map.js'
import { JobService } from '../jobs/job-service.js'
import { workerMetrics } from '../observability/worker-metrics.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { failedAttempt } from '../worker/failed-attempt.js'
import type { StepContext, Work } from '../worker/implement.js'
import type { AnyProcessor } from '../worker/processor.js'
import { StepWorker } from '../worker/step-worker.js'
import { WorkTally } from '../worker/work-tally.js'
import { KindWorker } from '../worker/worker.js'
import { withBuiltIns } from './define-kind.js'
import { buildParts, faultsTo, type Log, type Parts, storeOf } from './parts.js'
import { type StartedQueue, startWork } from './start-work.js'

/** Jobs in steps whose wait has been logged: each one once, also where it waits for hours. */
const MAX_WAITS_KEPT = 1000

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

export interface WorkerNodeOptions {
  /** The kinds that this process knows; without it the built-in ones and those of its work. */
  readonly kinds?: Kinds
  /** Where what computes finds its keys, and programs a few variables. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Jobs of each kind that it computes at a time; without it what each kind says. */
  readonly concurrency?: number
}

/**
 * Builds workers that do not take jobs yet: one for each kind that the settings name and something computes, and one for each configured solver. Of two works of
 * one kind the last one counts. Rejects where what computes cannot be made ready (`startWork`).
 */
export async function buildWorkerNode(
  config: Config,
  work: readonly Work[],
  log: Log,
  { kinds = withBuiltIns(work), env = {}, concurrency }: WorkerNodeOptions = {},
): Promise<WorkerNode> {
  const started = await startWork(config, work, kinds, env, concurrency)
  for (const kind of started.idle) log.warn({ kind }, 'nothing in this worker computes this kind')
  const parts = buildParts(config, log, kinds)
  const jobs = new JobService(parts)
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const tally = new WorkTally()
  const onFault = faultsTo(log, parts.health, 'worker fault')
  const onReconnect = () => parts.reconnects.add()
  const redis = { url: config.REDIS_URL, onFault, onReconnect, store: parts.health }
  const common = { ports: parts, tally, ...redis, prefix: keys.queues(), lockDurationMs: config.WORKER_LOCK_MS }
  const waits = recentMap<string>(MAX_WAITS_KEPT)
  const onWait = (kind: string, id: string, why: string) => {
    if (waits.get(id) !== why) log.warn({ job: id, kind, why }, 'a job in steps waits')
    waits.set(id, why)
  }
  const workerOf = ({ kind, queue, concurrency, computedBy }: StartedQueue): Taker => {
    if (kind.inSteps) {
      const context = {
        ...parts,
        jobs,
        maxEventBytes: config.MAX_EVENT_BYTES,
        onWait: (id: string, why: string) => onWait(kind.name, id, why),
      }
      return new StepWorker({ ...common, queue, step: (computedBy as (context: StepContext) => (id: string) => Promise<void>)(context) }) // `implement` has seen to it
    }
    return new KindWorker({
      ...common,
      kind,
      queue,
      concurrency,
      processor: computedBy as AnyProcessor, // likewise
      controlChannel: keys.control(),
      cancelGraceMs: config.CANCEL_GRACE_MS,
      maxEventBytes: config.MAX_EVENT_BYTES,
      finishMs: config.WORKER_FINISH_MS,
      onFenced: (id, reason) => log.warn({ job: id, reason }, 'write fenced'),
      onFailed: (id, failure) => log.warn(failedAttempt(id, failure), 'attempt failed'),
    })
  }
  const workers = started.queues.map(workerOf)
  const queues = workers.map(({ queue }) => queue)
  const close = async () => {
    await Promise.all(workers.map((worker) => worker.close()))
    await started.close()
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
