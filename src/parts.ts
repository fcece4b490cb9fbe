import type { BrokerLimits } from './broker/broker.js'
import type { GateLimits } from './broker/gate.js'
import { RedisBroker } from './broker/redis-broker.js'
import { connectCommands, inspectRedis, type RedisConnectionOptions } from './broker/redis-connection.js'
import { RedisFeeds } from './broker/redis-feeds.js'
import { RedisGate } from './broker/redis-gate.js'
import { RedisJobStore } from './broker/redis-job-store.js'
import { RedisKeys } from './broker/redis-keys.js'
import { RedisLease } from './broker/redis-lease.js'
import type { Config } from './config.js'
import { systemClock } from './hub/clock.js'
import { DEFAULT_HUB_LIMITS, Hub } from './hub/hub.js'
import { BullEvents } from './jobs/bull-events.js'
import { BullQueue } from './jobs/bull-queue.js'
import { FairQueue } from './jobs/fair-queue.js'
import type { Final } from './jobs/finalize.js'
import type { Timeouts } from './jobs/job-service.js'
import { Sweeper } from './jobs/sweeper.js'
import { Refusal } from './protocol/codes.js'
import { KIND_NAMES } from './protocol/kinds.js'

const MIN_REDIS_MAJOR = 7
/** A job that waits for its turn is looked at again so much later. */
const HELD_MS = 300_000

/** What every process that deals with jobs has: the adapters to one Redis. */
export interface Adapters {
  readonly broker: RedisBroker
  readonly store: RedisJobStore
  readonly feeds: RedisFeeds
  readonly gate: RedisGate
  readonly queue: FairQueue
  /** What lies behind the queue's gate. */
  readonly backlog: BullQueue
  /** Told of each end that this process has written. */
  readonly onFinal: (final: Final) => void
  readonly timeoutsMs: Timeouts
  readonly solvers: readonly string[]
  close(): Promise<void>
}

/** What hub and worker processes have in common: the adapters, and the sweeper. */
export interface Parts extends Adapters {
  readonly sweeper: Sweeper
}

export interface PartsLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export function buildParts(config: Config, log: PartsLog): Parts {
  const adapters = buildAdapters(config, log)
  const onFault = faultsTo(log)
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const { SWEEP_INTERVAL_MS: intervalMs, WORKER_LOCK_MS: lockMs } = config
  const lease = new RedisLease(adapters.broker.commands, keys.sweeper(), 3 * intervalMs)
  const watch = new BullEvents({ url: config.REDIS_URL, prefix: keys.queues(), queues: KIND_NAMES, onFault })
  const limits = { cancelGraceMs: config.CANCEL_GRACE_MS * 1.5, lockMs, heldMs: HELD_MS }
  const sweeper = new Sweeper({ ...adapters, lease, watch }, { ...limits, intervalMs, onFault })
  const close = async () => {
    await sweeper.close()
    await adapters.close()
  }
  return { ...adapters, sweeper, close }
}

export function buildAdapters(config: Config, log: PartsLog): Adapters {
  const onFault = faultsTo(log)
  const connection = { url: config.REDIS_URL, onFault }
  const options = { ...connection, prefix: config.REDIS_PREFIX, limits: brokerLimits(config) }
  const keys = new RedisKeys(config.REDIS_PREFIX)
  const broker = new RedisBroker(options)
  const store = new RedisJobStore(options)
  const backlog = new BullQueue({ ...connection, prefix: keys.queues(), controlChannel: keys.control() })
  const gate = new RedisGate(broker.commands, keys, gateLimits(config))
  const queue = new FairQueue({ gate, backlog, broker, store, onFault })
  const { activeTtlMs, finalTtlMs } = options.limits
  const feeds = new RedisFeeds({
    commands: broker.commands,
    subscriber: () => broker.channels,
    keys,
    activeTtlMs: activeTtlMs + finalTtlMs,
    endedTtlMs: finalTtlMs,
  })
  const onFinal = (final: Final) => log.info(final, 'job ended')
  const close = async () => {
    await queue.close()
    store.close()
    await broker.close()
  }
  const timeoutsMs = { run: config.RUN_TIMEOUT_S * 1000, benchmark: config.BENCHMARK_TIMEOUT_S * 1000 }
  return { broker, store, feeds, gate, queue, backlog, onFinal, timeoutsMs, solvers: [], close }
}

/** The hub of this process on its adapters; closed by whoever built it, before them. */
export function buildHub(config: Config, { broker, feeds }: Adapters): Hub {
  const limits = {
    ...DEFAULT_HUB_LIMITS,
    maxOutboxBytes: config.MAX_OUTBOX_BYTES,
    stallMs: config.STALL_MS,
    quietMs: config.QUIET_MS,
    lingerMs: config.LINGER_MS,
  }
  return new Hub({ broker, feeds, clock: systemClock }, limits)
}

function faultsTo(log: PartsLog): (error: unknown) => void {
  return (error) => log.error({ err: error }, 'redis or queue fault')
}

function brokerLimits(config: Config): BrokerLimits {
  return {
    maxEventBytes: config.MAX_EVENT_BYTES,
    maxLogEntries: config.MAX_LOG_ENTRIES,
    maxKeys: config.MAX_KEYS,
    maxMissedEntries: config.MAX_MISSED_ENTRIES,
    staleMs: config.STALE_MS,
    activeTtlMs: config.ACTIVE_TTL_MS,
    finalTtlMs: config.FINAL_TTL_MS,
  }
}

function gateLimits(config: Config): GateLimits {
  return {
    maxActivePerUser: config.MAX_ACTIVE_JOBS_PER_USER,
    maxPerHour: config.MAX_JOBS_PER_HOUR,
    maxWaitingPerUser: config.MAX_WAITING_JOBS_PER_USER,
    maxWaiting: config.MAX_WAITING_JOBS,
  }
}

/** Looks at the server once, at start: a Redis that is too old is an error, one that may evict is a loud warning. */
export async function checkRedis(options: RedisConnectionOptions, log: PartsLog): Promise<void> {
  const connection = connectCommands(options)
  try {
    const { major, policy } = await inspectRedis(connection)
    if (major < MIN_REDIS_MAJOR) throw new Error(`This Redis is version ${major}; runcast needs ${MIN_REDIS_MAJOR} or later.`)
    if (policy !== null && policy !== 'noeviction') {
      log.warn({ policy }, 'REDIS MAY EVICT JOBS: its maxmemory-policy must be noeviction, or states and queues will vanish under load')
    }
  } catch (error) {
    // Without user and password.
    const { host } = new URL(options.url)
    throw error instanceof Refusal ? new Error(`Redis at ${host} cannot be reached (REDIS_URL).`, { cause: error }) : error
  } finally {
    connection.disconnect()
  }
}
