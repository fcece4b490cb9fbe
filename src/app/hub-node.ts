import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { ANY_AUDIENCE, type Config } from '../config/config.js'
import { loadSolvers } from '../config/load-solvers.js'
import type { Kinds } from '../core/kind.js'
import type { KindRoutes } from '../http/kind-routes.js'
import { Mount } from '../http/mount.js'
import { buildOperations } from '../http/operations.js'
import { type Authenticate, DEFAULT_SESSION_MS } from '../http/plugins/login.js'
import { metricsRoute } from '../http/routes/metrics.js'
import { buildServer } from '../http/server.js'
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from '../hub/session.js'
import { ClaimService } from '../jobs/claims/claim-service.js'
import { JobService } from '../jobs/job-service.js'
import { Overview } from '../jobs/overview.js'
import { KINDS_IN_HUB } from '../kinds/node/index.js'
import { hubMetrics } from '../observability/hub-metrics.js'
import { BullClaims } from '../queue/bullmq/claims.js'
import { DEFAULT_MAX_USERS, RedisDepths } from '../storage/redis/depths.js'
import { RedisHubCalls } from '../storage/redis/hub-calls.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { RedisOverview } from '../storage/redis/overview.js'
import { RedisProcesses } from '../storage/redis/processes.js'
import { knownKinds } from './define-kind.js'
import { buildHubGuards, type HubGuards } from './hub-guards.js'
import { buildHub, buildParts, faultLogger, type Log, type Parts, storeOf } from './parts.js'
import { processEntry } from './process-entry.js'
import { once } from './service.js'
import { workerQueues } from './worker-queues.js'

/** How long the last report of a claim may be repeated after its lease. */
const KEEP_ANSWER_MS = 60_000

/** Connections reserved for requests when every socket is taken. */
const SPARE_CONNECTIONS = 5000

/** How a hub is mounted below a path of another server, which passes requests to `HubNode.mount`. */
export interface HostOptions {
  /** Such as `/runcast`; empty for all paths. */
  readonly prefix: string
  /** The login of that server. Default: users authenticate by tokens. */
  readonly authenticate?: Authenticate<unknown>
  /** Duration of sockets and streams whose login has no `expiresAt`, in ms. */
  readonly sessionMs?: number
  readonly logger?: FastifyBaseLogger
  /** Routes of custom kinds besides the ones derived from their contracts. */
  readonly routes?: readonly KindRoutes[]
}

/** A hub in this process: adapters, hub and server. */
export interface HubNode {
  readonly server: FastifyInstance
  /** Handles requests and upgrades of another server, once `server` is ready. */
  readonly mount: Mount
  /** The server for `METRICS_PORT`; null if none is configured. */
  readonly operations: FastifyInstance | null
  readonly parts: Parts
  readonly jobs: JobService
  readonly guards: HubGuards
  readonly claims: ClaimService
  /** Moves the clients to other nodes and closes those that do not move with 1012. Requests are still answered. */
  drain(): Promise<void>
  /** Drains, then closes the server and the adapters. Safe to call twice. */
  close(): Promise<void>
}

/**
 * Builds a hub that does not listen yet. `kinds`: the kinds that it serves; jobs of other kinds are hidden. If it
 * rejects, it has released everything: with `SolversError` or `ProvidersError` if the settings files are invalid, with
 * `ConfigError` for an invalid public key. It needs neither the keys nor the programs that the files name.
 */
export async function buildHubNode(
  config: Config,
  log: Log,
  kinds: Kinds = knownKinds(),
  host: HostOptions = { prefix: '' },
): Promise<HubNode> {
  const mount = new Mount(host.prefix)
  const ofKinds = KINDS_IN_HUB.filter(({ kind }) => kinds.find(kind.name) === kind).map(({ kind, build }) => ({ kind, ...build(config) }))
  const queues = workerQueues(config, loadSolvers(config.SOLVERS_FILE, kinds), kinds).map(({ queue }) => queue)
  const parts = buildParts(config, log, kinds)
  const guards = buildHubGuards(config, log, parts)
  const hub = buildHub(config, parts, log)
  const inputChecks = ofKinds.flatMap(({ kind, inputCheck }) => (inputCheck ? [[kind.name, inputCheck] as const] : []))
  const jobs = new JobService({ ...parts, inputChecks: Object.fromEntries(inputChecks) })
  const bullClaims = buildClaims(config, parts, log)
  const onFault = faultLogger(log, parts.health, 'claim error')
  const claims = new ClaimService({ ...parts, claims: bullClaims, lockMs: config.WORKER_LOCK_MS, onFault })
  const { commands } = parts.broker
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const maxActivePerUser = config.MAX_ACTIVE_JOBS_PER_USER
  const depths = new RedisDepths(commands, keys, { maxActivePerUser, maxUsers: DEFAULT_MAX_USERS })
  const forOperators = { commands, keys, onFault: faultLogger(log, parts.health, 'list of processes') }
  const processes = new RedisProcesses(forOperators)
  const describe = processEntry('hub', kinds.names)
  const { id: node } = describe()
  const calls = new RedisHubCalls({ ...forOperators, id: node, subscriber: () => parts.broker.channels })
  const records = new RedisOverview(commands, keys)
  const overview = new Overview({ ...parts, processes, records, depths, claims: bullClaims, maxActivePerUser })
  const hasWorkers = async () => {
    const counts = await Promise.all(queues.map((queue) => parts.backlog.workers(queue)))
    return counts.every((count) => count > 0)
  }
  const redis = storeOf(parts.health, () => parts.broker.ready(), config.READY_NEEDS_WRITE === 'yes')
  const checks = { redis: redis.serves, ...(config.READY_NEEDS_WORKER === 'yes' && { worker: hasWorkers }) }
  const closeServices = async () => {
    calls.close()
    await processes.close()
    await claims.close()
    hub.close()
    await guards.close()
    await parts.close()
  }
  let built: FastifyInstance | undefined
  try {
    await parts.begun
    const kindRoutes = [...ofKinds.map(({ routes }) => routes), ...(host.routes ?? [])]
    const own = serverSettings(config, guards)
    const settings = { ...own, ...hostSettings(host, guards, own.sessionLimits), mount, ...(host.logger && { logger: host.logger }) }
    const server = await buildServer({
      hub,
      jobs,
      claims,
      telemetry: parts.telemetry,
      artifacts: parts.artifacts,
      operators: { node, calls, processes, overview },
      kinds,
      kindRoutes,
      checks,
      store: redis.report,
      guards,
      ...settings,
    })
    built = server
    mount.serve(server)
    const scrape = hubMetrics({ hub, server, upgrades: guards.upgrades, claims, parts, depths, queues })
    const operations = config.METRICS_PORT === 0 ? null : await buildOperations(server.readiness, redis.report, scrape)
    if (!operations) await server.register(metricsRoute, { scrape })
    processes.announce(describe)
    const drain = async () => {
      await claims.drain()
      await server.drain()
    }
    const close = once(async () => {
      await drain()
      await server.close()
      await closeServices()
      // Last, so that probes and metrics work until the end.
      await operations?.close()
    })
    return { server, mount, operations, parts, jobs, guards, claims, drain, close }
  } catch (error) {
    await built?.close()
    await closeServices()
    throw error
  }
}

/** Options of the server that come from the settings. */
function serverSettings(config: Config, guards: HubGuards) {
  return {
    rateLimits: { maxPerUser: config.MAX_REQUESTS_PER_SECOND, maxPerAddress: config.MAX_STRANGER_REQUESTS_PER_SECOND },
    auth: {
      keys: { secret: config.JWT_SECRET, publicKey: config.JWT_PUBLIC_KEY, jwksUrl: config.JWT_JWKS_URL },
      expected: {
        issuer: config.JWT_ISSUER,
        audience: config.JWT_AUDIENCE === ANY_AUDIENCE ? '' : config.JWT_AUDIENCE,
        roles: {
          claim: config.JWT_ROLE_CLAIM,
          admin: config.JWT_ADMIN_ROLE,
          worker: config.JWT_WORKER_ROLE,
          kinds: config.JWT_KINDS_CLAIM,
        },
      },
      cookie: config.AUTH_COOKIE,
      revocations: guards.revocations,
    },
    allowedOrigins: config.ALLOWED_ORIGINS,
    publicUrl: config.PUBLIC_URL,
    hasDocs: config.DOCS === 'on',
    trustedProxies: config.TRUSTED_PROXIES,
    keepRevocationsMs: config.REVOCATION_TTL_MS,
    logLevel: config.LOG_LEVEL,
    sessionLimits: {
      authTimeoutMs: config.AUTH_TIMEOUT_MS,
      pingIntervalMs: config.PING_INTERVAL_MS,
      idleMs: config.IDLE_MS,
      answerMs: DEFAULT_SESSION_LIMITS.answerMs,
      expiryWarningMs: config.EXPIRY_WARNING_MS,
      expiryGraceMs: config.EXPIRY_GRACE_MS,
      maxViolationsPerMinute: config.MAX_BREACHES_PER_MINUTE,
      maxMessagesPerSecond: config.MAX_MESSAGES_PER_SECOND,
    },
    userLimits: { maxSubscriptions: config.MAX_SUBSCRIPTIONS },
    maxInboundBytes: config.MAX_INBOUND_BYTES,
    maxConnections: config.MAX_CONNECTIONS || config.MAX_SOCKETS + SPARE_CONNECTIONS,
    maxPostBytes: config.MAX_EVENT_BYTES,
    drainMs: config.DRAIN_MS,
    minDrainMs: Math.min(config.DRAIN_MIN_MS, config.DRAIN_MS),
  }
}

/**
 * Options of the server that an external login changes. No message can renew such a login, so a session ends with it.
 */
function hostSettings({ authenticate, sessionMs = DEFAULT_SESSION_MS }: HostOptions, { revocations }: HubGuards, limits: SessionLimits) {
  if (!authenticate) return {}
  return {
    auth: { authenticate, sessionMs, timeoutMs: limits.authTimeoutMs, revocations },
    sessionLimits: { ...limits, expiryWarningMs: 0, expiryGraceMs: 0 },
  }
}

/** The queues of workers over HTTP. */
function buildClaims(config: Config, parts: Parts, log: Log): BullClaims {
  const onFault = faultLogger(log, parts.health, 'claim error')
  const { REDIS_URL: url, WORKER_LOCK_MS: lockMs } = config
  const prefix = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL).queues()
  const onReconnect = () => parts.reconnects.add()
  return new BullClaims({
    url,
    prefix,
    lockMs,
    keepMs: Math.min(KEEP_ANSWER_MS, config.FINAL_TTL_MS),
    onFault,
    onReconnect,
    store: parts.health,
    mayJudge: () => parts.health.mayJudge,
  })
}
