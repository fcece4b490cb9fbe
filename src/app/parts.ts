import { randomUUID } from 'node:crypto'
import { type Config, numberIn } from '../config/config.js'
import { loadSolvers } from '../config/load-solvers.js'
import type { Solver } from '../config/solver.js'
import { systemClock } from '../core/clock.js'
import type { Kinds } from '../core/kind.js'
import { Tally } from '../core/tally.js'
import type { StoreReport } from '../http/routes/health.js'
import { DEFAULT_HUB_LIMITS, Hub } from '../hub/hub.js'
import type { ArtifactService } from '../jobs/artifacts/artifact-service.js'
import { ArtifactSweeper } from '../jobs/artifacts/artifact-sweeper.js'
import { AttemptTally } from '../jobs/attempt-tally.js'
import type { Timeouts } from '../jobs/job-service.js'
import { type Final, JobTally } from '../jobs/job-tally.js'
import { Sweeper } from '../jobs/sweeper/sweeper.js'
import { RuncastError, type StoreReason } from '../protocol/codes.js'
import { BullEvents } from '../queue/bullmq/events.js'
import { BullQueue } from '../queue/bullmq/queue.js'
import { FairQueue } from '../queue/fair-queue.js'
import type { BrokerLimits } from '../storage/broker.js'
import type { SchedulerLimits } from '../storage/fair-scheduler.js'
import { RedisBroker } from '../storage/redis/broker.js'
import { connectCommands, inspectRedis, probeOf, type RedisConnectionOptions, throwIfOfDatabase } from '../storage/redis/connection.js'
import { RedisFairScheduler } from '../storage/redis/fair-scheduler.js'
import { RedisFeeds } from '../storage/redis/feeds.js'
import { RedisJobStore } from '../storage/redis/job-store.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { RedisLease } from '../storage/redis/lease.js'
import { StoreHealth } from '../storage/redis/store-health.js'
import { RedisTelemetry } from '../storage/redis/telemetry.js'
import { storeFaultOf } from '../storage/store-fault.js'
import { buildArtifacts } from './artifacts.js'
import { solverQueues } from './worker-queues.js'

const MIN_REDIS_MAJOR = 7
/** Interval of the sweeper's checks of jobs that wait for their turn. */
const HELD_MS = 300_000

/** The adapters to one Redis that every process with jobs needs. */
export interface Adapters {
  /** The kinds that this process knows. */
  readonly kinds: Kinds
  readonly broker: RedisBroker
  readonly store: RedisJobStore
  readonly feeds: RedisFeeds
  readonly telemetry: RedisTelemetry
  readonly artifacts: ArtifactService
  readonly scheduler: RedisFairScheduler
  readonly queue: FairQueue
  /** The backlog behind the fair scheduler. */
  readonly backlog: BullQueue
  /** Called for each final event that this process has written. */
  readonly onFinal: (final: Final) => void
  /** Counters of this process: jobs, attempts, and lost connections to Redis. */
  readonly tally: JobTally
  readonly attempts: AttemptTally
  readonly reconnects: Tally<[]>
  /** Whether Redis accepts writes of this process. */
  readonly health: StoreHealth
  /** Resolves after the first probe of Redis, when its time is known. Never rejects. */
  readonly begun: Promise<void>
  readonly timeoutsMs: Timeouts
  /** Names of the configured solvers. */
  readonly solvers: readonly string[]
  /** All queues: one per kind, and those of the solvers. */
  readonly queues: readonly string[]
  close(): Promise<void>
}

/** What hub and worker processes have in common: the adapters and the sweeper. */
export interface Parts extends Adapters {
  readonly sweeper: Sweeper
  readonly artifactSweeper: ArtifactSweeper
}

export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Throws `SolversError` if the solvers are invalid. It does not need their programs. */
export function buildParts(config: Config, log: Log, kinds: Kinds): Parts {
  const adapters = buildAdapters(config, log, kinds)
  const { health } = adapters
  const onFault = faultLogger(log, health, 'redis or queue error')
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const { SWEEP_INTERVAL_MS: intervalMs, WORKER_LOCK_MS: lockMs } = config
  const lease = new RedisLease(adapters.broker.commands, keys.sweeper(), 3 * intervalMs)
  const watch = new BullEvents({
    url: config.REDIS_URL,
    prefix: keys.queues(),
    queues: adapters.queues,
    onFault,
    onReconnect: () => adapters.reconnects.add(),
    store: health,
  })
  const limits = { cancelGraceMs: config.CANCEL_GRACE_MS * 1.5, lockMs, heldMs: HELD_MS, mayJudge: () => health.mayJudge }
  const sweeper = new Sweeper({ ...adapters, lease, watch }, { ...limits, intervalMs, onFault, isInStep: () => health.isInStep })
  const artifactLease = new RedisLease(adapters.broker.commands, keys.artifacts().sweeper, 3 * intervalMs)
  const artifactSweeper = new ArtifactSweeper(adapters.artifacts, artifactLease, {
    intervalMs,
    onFault: faultLogger(log, health, 'artifacts of expired jobs cannot be removed'),
  })
  const close = async () => {
    await Promise.all([sweeper.close(), artifactSweeper.close()])
    await adapters.close()
  }
  return { ...adapters, sweeper, artifactSweeper, close }
}

/** Throws `SolversError` if the solvers are invalid. */
export function buildAdapters(config: Config, log: Log, kinds: Kinds): Adapters {
  const solvers = loadSolvers(config.SOLVERS_FILE, kinds)
  const health = new StoreHealth({ log, lockMs: config.WORKER_LOCK_MS })
  const onFault = faultLogger(log, health, 'redis or queue error')
  const reconnects = new Tally<[]>()
  const connection = { url: config.REDIS_URL, onFault, onReconnect: () => reconnects.add(), store: health }
  const options = { ...connection, prefix: config.REDIS_PREFIX, limits: brokerLimits(config), kinds }
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const broker = new RedisBroker(options)
  const begun = health.begin(probeOf(broker.commands, keys.scratch(randomUUID())))
  const store = new RedisJobStore(options)
  const backlog = new BullQueue({ ...connection, prefix: keys.queues(), controlChannel: keys.control() })
  const scheduler = new RedisFairScheduler(broker.commands, keys, schedulerLimits(config))
  const queue = new FairQueue({ scheduler, backlog, broker, store, onFault })
  const { activeTtlMs, finalTtlMs } = options.limits
  const feeds = new RedisFeeds({
    commands: broker.commands,
    subscriber: () => broker.channels,
    keys,
    activeTtlMs: activeTtlMs + finalTtlMs,
    endedTtlMs: finalTtlMs,
  })
  const telemetry = new RedisTelemetry({ commands: broker.commands, subscriber: () => broker.channels, keys })
  const tally = new JobTally(kinds.names)
  const onFinal = (final: Final) => {
    tally.ended(final)
    log.info(final, 'job ended')
  }
  const artifacts = buildArtifacts(config, broker.commands)
  const close = async () => {
    health.close()
    artifacts.store.close()
    await queue.close()
    store.close()
    await broker.close()
  }
  const counted = { tally, attempts: new AttemptTally(), reconnects, health, begun }
  return {
    kinds,
    broker,
    store,
    artifacts,
    feeds,
    telemetry,
    scheduler,
    queue,
    backlog,
    onFinal,
    ...counted,
    timeoutsMs: timeoutsOf(config, solvers, kinds),
    solvers: solvers.map(({ name }) => name),
    queues: [...kinds.names, ...solverQueues(solvers, kinds).map(([queue]) => queue)],
    close,
  }
}

/** Builds a hub on the adapters of this process. The caller closes it before the adapters. */
export function buildHub(config: Config, { broker, feeds, telemetry }: Adapters, log: Log): Hub {
  const limits = {
    ...DEFAULT_HUB_LIMITS,
    maxOutboxBytes: config.MAX_OUTBOX_BYTES,
    stallMs: config.STALL_MS,
    quietMs: config.QUIET_MS,
    lingerMs: config.LINGER_MS,
  }
  return new Hub({ broker, feeds, telemetry, clock: systemClock, onFault: (error) => log.error({ err: error }, 'hub error') }, limits)
}

function timeoutsOf(config: Config, solvers: readonly Solver[], kinds: Kinds): Timeouts {
  const ofKinds = kinds.all.map(({ name, timeoutS }) => [name, numberIn(config, timeoutS) * 1000] as const)
  const ofSolvers = solverQueues(solvers, kinds).flatMap(([queue, { timeout_s }]) =>
    timeout_s === undefined ? [] : [[queue, timeout_s * 1000]],
  )
  return Object.fromEntries([...ofKinds, ...ofSolvers])
}

/** Logs internal errors. Errors of Redis go to `StoreHealth`, which logs each change of its state once. */
export function faultLogger(log: Log, health: StoreHealth, text: string): (error: unknown) => void {
  return (error) => {
    if (storeFaultOf(error) === null) log.error({ err: error }, text)
    else health.refused(error)
  }
}

/** The readiness of Redis for a process: whether it can serve, also without writes, and the report of `/readyz`. */
export function storeOf(
  health: StoreHealth,
  isSubscribed: () => Promise<boolean>,
  needsWrite: boolean,
): { serves: () => Promise<boolean>; report: () => Promise<StoreReport> } {
  const look = async (): Promise<{ reason: StoreReason | null; isLocal: boolean }> => {
    const [reason, receives] = await Promise.all([health.look(), isSubscribed()])
    if (reason !== null) return { reason, isLocal: health.isLocal }
    return receives ? { reason, isLocal: false } : { reason: 'store_deaf', isLocal: true }
  }
  return {
    serves: async () => {
      const { reason, isLocal } = await look()
      return needsWrite ? reason === null : !isLocal
    },
    report: async () => {
      const { reason } = await look()
      const writable = reason === null || reason === 'store_deaf'
      return { writable, ...(reason !== null && { reason }) }
    },
  }
}

function brokerLimits(config: Config): BrokerLimits {
  return {
    maxEventBytes: config.MAX_EVENT_BYTES,
    maxLogEntries: config.MAX_LOG_ENTRIES,
    maxLogLines: config.MAX_LOG_LINES,
    maxLogBytes: config.MAX_LOG_BYTES,
    maxSeries: config.MAX_SERIES,
    maxSeriesBytes: config.MAX_SERIES_BYTES,
    maxKeys: config.MAX_KEYS,
    maxListed: config.MAX_LISTED_JOBS,
    maxMissedEntries: config.MAX_MISSED_ENTRIES,
    staleMs: config.STALE_MS,
    activeTtlMs: config.ACTIVE_TTL_MS,
    finalTtlMs: config.FINAL_TTL_MS,
    childTtlMs: config.EVALUATION_TTL_MS,
  }
}

function schedulerLimits(config: Config): SchedulerLimits {
  return {
    maxActivePerUser: config.MAX_ACTIVE_JOBS_PER_USER,
    maxPerHour: config.MAX_JOBS_PER_HOUR,
    maxWaitingPerUser: config.MAX_WAITING_JOBS_PER_USER,
    maxWaiting: config.MAX_WAITING_JOBS,
    maxBytesPerUser: config.MAX_BYTES_PER_USER,
  }
}

/** Checks the Redis server at start. Throws if its version is too old; warns if it may evict keys. */
export async function checkRedis(options: RedisConnectionOptions, log: Log): Promise<void> {
  const faults: Error[] = []
  const connection = connectCommands({ ...options, onFault: (error) => faults.push(error) })
  try {
    const { major, policy } = await inspectRedis(connection)
    if (major < MIN_REDIS_MAJOR)
      throw new Error(`Redis version ${major} is too old (REDIS_URL): runcast needs Redis ${MIN_REDIS_MAJOR} or later`)
    if (policy !== null && policy !== 'noeviction') {
      log.warn({ policy }, 'Redis may evict jobs: set its maxmemory-policy to noeviction, or states and queues are lost under load')
    }
  } catch (error) {
    // The message contains neither user nor password.
    const { host } = new URL(options.url)
    if (!(error instanceof RuncastError)) throw error
    const denial = faults.find((fault) => storeFaultOf(fault) === 'store_denies')
    const why = denial ? `rejects the user or the password (REDIS_URL): ${denial.message}` : 'cannot be reached (REDIS_URL).'
    throw new Error(`Redis at ${host} ${why}`, { cause: error })
  } finally {
    connection.disconnect()
    for (const fault of faults) throwIfOfDatabase(fault, options.url)
  }
}
