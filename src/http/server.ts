import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Kinds } from '../core/kind.js'
import type { Policy } from '../hub/guards/policy.js'
import { SocketSlots } from '../hub/guards/socket-slots.js'
import type { Hub } from '../hub/hub.js'
import type { UserScopeLimits } from '../hub/scopes/user-scope.js'
import type { SessionLimits } from '../hub/session.js'
import { SessionDirectory } from '../hub/session-directory.js'
import type { ArtifactService } from '../jobs/artifacts/artifact-service.js'
import type { ClaimService } from '../jobs/claims/claim-service.js'
import type { JobService } from '../jobs/job-service.js'
import type { Overview } from '../jobs/overview.js'
import { RuncastError } from '../protocol/codes.js'
import type { HubCalls } from '../storage/hub-calls.js'
import type { Processes } from '../storage/processes.js'
import { REVOKED } from '../storage/revocations.js'
import type { TelemetryStore } from '../storage/telemetry.js'
import type { KindRoutes } from './kind-routes.js'
import { Mount } from './mount.js'
import { audit, requestIdOf } from './plugins/audit.js'
import { type AuthOptions, auth } from './plugins/auth.js'
import { bodies, DEFAULT_BODIES_OPTIONS } from './plugins/bodies.js'
import { counting } from './plugins/counting.js'
import { docs } from './plugins/docs.js'
import { errors } from './plugins/errors.js'
import { gracefulClose } from './plugins/graceful-close.js'
import { type LoginOptions, login } from './plugins/login.js'
import { origins } from './plugins/origins.js'
import { query } from './plugins/query.js'
import { type RateLimitOptions, rateLimit } from './plugins/rate-limit.js'
import { answerMalformed } from './plugins/raw-answer.js'
import { requestLogging } from './plugins/request-logging.js'
import { securityHeaders } from './plugins/security-headers.js'
import { type Guards, sessions } from './plugins/sessions.js'
import { tracing } from './plugins/tracing.js'
import { upgrades } from './plugins/upgrades.js'
import { validation } from './plugins/validation.js'
import { visitors } from './plugins/visitors.js'
import { adminRoutes } from './routes/admin.js'
import { allJobs, allJobsRoutes } from './routes/all-jobs.js'
import { claimRoutes } from './routes/claims.js'
import { health, type ReadinessChecks, type StoreReport } from './routes/health.js'
import { jobResource } from './routes/job-resource.js'
import { jobRoutes } from './routes/jobs.js'
import { processStream } from './routes/process-stream.js'
import { processes } from './routes/processes.js'
import { revocationRoutes } from './routes/revocations.js'
import { runDialectResource } from './routes/run-dialect-resource.js'
import { seriesRoutes } from './routes/series.js'
import { sockets } from './routes/sockets.js'
import { submitProcess } from './routes/submit-process.js'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** The checks of `/readyz`: the given ones, and whether the node accepts clients. */
    readiness: ReadinessChecks
  }
}

/** What operators see beyond this hub. */
export interface Operators {
  /** Id of this hub among all processes. */
  readonly node: string
  readonly calls: HubCalls
  readonly processes: Processes
  readonly overview: Overview
}

export interface ServerOptions {
  readonly hub: Hub
  readonly jobs: JobService
  /** What jobs report beside entries. */
  readonly telemetry: TelemetryStore
  /** Serves workers over HTTP. */
  readonly claims: ClaimService
  readonly artifacts: ArtifactService
  readonly operators: Operators
  /** The kinds that this hub serves. */
  readonly kinds: Kinds
  /** Routes of kinds besides the ones derived from their contracts. */
  readonly kindRoutes?: readonly KindRoutes[]
  readonly checks: ReadinessChecks
  /** Whether Redis accepts writes of this node. */
  readonly store: () => Promise<StoreReport>
  /** How users are authenticated: by tokens, or by the login of the server in which the hub is mounted. */
  readonly auth: AuthOptions | LoginOptions
  readonly rateLimits: RateLimitOptions
  /** Origins of pages that may connect; empty for all. */
  readonly allowedOrigins: readonly string[]
  /**
   * The URL at which clients reach the hub, with the prefix that a proxy removes from its paths. Empty to use the
   * address of each request.
   */
  readonly publicUrl: string
  /** Whether `/docs` is served. */
  readonly hasDocs: boolean
  /** Proxies whose `X-Forwarded-For` is trusted; empty for none. */
  readonly trustedProxies: readonly string[]
  /** TTL of revocations without `expires_at`. */
  readonly keepRevocationsMs: number
  /** Admission, revocation and upgrade limits. */
  readonly guards: Guards
  /** A level of pino, or `silent`. */
  readonly logLevel: string
  /** Set if the hub is mounted in another server. Without it, the hub listens itself. */
  readonly mount?: Mount
  /** The logger of the other server. */
  readonly logger?: FastifyBaseLogger
  readonly sessionLimits: SessionLimits
  readonly userLimits: UserScopeLimits
  /** Time for clients to move to another node when this one stops. */
  readonly drainMs: number
  /** Minimum time for which a stopping node keeps answering requests. */
  readonly minDrainMs: number
  readonly maxInboundBytes: number
  /** Maximum TCP connections. Further ones are closed at once. */
  readonly maxConnections: number
  /** Maximum bytes of a worker's report about a claimed job. */
  readonly maxPostBytes: number
}

/** Time limit for the headers of a request, and how often it is checked. */
const HEADERS_TIMEOUT_MS = 10_000
const HEADERS_CHECK_MS = 2500

/**
 * Builds the HTTP server of a hub, which does not listen yet. Closing it closes its sessions with 1012. The services in
 * `options` stay open.
 */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { mount = new Mount('') } = options
  const app = Fastify({
    ...requestLogging(options.logLevel, options.logger),
    genReqId: requestIdOf,
    bodyLimit: options.maxInboundBytes,
    // `errors` answers then, in the shape of all errors.
    return503OnClosing: false,
    // Requests in progress are answered, see `gracefulClose`.
    forceCloseConnections: 'idle',
    clientErrorHandler: answerMalformed,
    // `bodies` limits request bodies. Node's own request timeout would cut off large uploads.
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: HEADERS_CHECK_MS, requireHostHeader: false },
    trustProxy: options.trustedProxies.length > 0 && [...options.trustedProxies],
    rewriteUrl: readableUrl,
    // Longer than Node accepts, so that the route answers an id that is too long like any other unknown id.
    routerOptions: { maxParamLength: 65_536 },
  })
  await app.register(visitors, { known: (raw) => mount.visitorOf(raw) })
  await app.register(counting)
  await app.register(tracing)
  await app.register(audit)
  app.server.maxConnections = options.maxConnections
  await app.register(bodies, DEFAULT_BODIES_OPTIONS)
  await app.register(errors)
  await app.register(validation)
  await app.register(query)
  // Strict-Transport-Security would apply to the whole host, and so to all of the other server.
  await app.register(securityHeaders, { isHttps: mount.prefix === '' && options.publicUrl.startsWith('https:') })
  const { allowedOrigins: allowed, publicUrl } = options
  await app.register(origins, { allowed, publicUrl, prefix: mount.prefix, isStrict: 'authenticate' in options.auth })
  await app.register(rateLimit, options.rateLimits)
  if ('authenticate' in options.auth) await app.register(login, options.auth)
  else await app.register(auth, options.auth)
  if (options.hasDocs) {
    const limits = {
      perUser: options.rateLimits.maxPerUser,
      perAddress: options.rateLimits.maxPerAddress,
      maxBodyBytes: options.maxInboundBytes,
    }
    const hasTokens = !('authenticate' in options.auth)
    const cookie = 'authenticate' in options.auth ? '' : options.auth.cookie
    await app.register(docs, { kinds: options.kinds, contract: { publicUrl: publicUrl || mount.prefix, cookie, hasTokens, limits } })
  }

  const { drainMs, minDrainMs, guards } = options
  const policy = buildPolicy(app, options.jobs, guards)
  const isMounted = mount.prefix !== ''
  const { node, calls, processes: alive, overview } = options.operators
  const ofSessions = { node, calls, hub: options.hub, policy, limits: options.sessionLimits }
  await app.register(sessions, { ...ofSessions, drainMs, minDrainMs, isMounted, guards })
  await app.register(gracefulClose, { limit: guards.upgrades })
  const readiness = { ...options.checks, serving: async () => !guards.upgrades.draining }
  app.decorate('readiness', readiness)
  await app.register(health, { checks: readiness, store: options.store })
  await app.register(sockets, {
    kinds: options.kinds,
    limit: guards.upgrades,
    maxInboundBytes: options.maxInboundBytes,
    userLimits: options.userLimits,
  })
  await app.register(upgrades, { limit: guards.upgrades })
  const { kinds, jobs, artifacts } = options
  for (const kind of kinds.all) {
    if (kind.path !== null) await app.register(jobRoutes, { prefix: `/api/v2/${kind.path}`, jobs, policy, artifacts, kind })
  }
  await app.register(processStream, { jobs, policy, userLimits: options.userLimits })
  await app.register(allJobsRoutes, { jobs, policy, artifacts, claims: options.claims })
  await app.register(jobResource, { prefix: processes.base, resource: processes, jobs, policy, artifacts })
  const resources = [...kinds.all.flatMap((kind) => (kind.path === null ? [] : [runDialectResource(kind)])), allJobs(kinds), processes]
  for (const resource of resources)
    await app.register(seriesRoutes, { prefix: resource.base, resource, jobs, policy, telemetry: options.telemetry })
  const shared = kinds.all.filter(({ path, submission }) => path === null && submission === null)
  if (shared.length > 0) await app.register(submitProcess, { jobs, kinds: shared })
  for (const routes of options.kindRoutes ?? []) await app.register(routes, { jobs, policy })
  await app.register(claimRoutes, {
    prefix: '/api/v2/jobs',
    kinds: kinds.claimable,
    claims: options.claims,
    maxPostBytes: options.maxPostBytes,
  })
  const { revocations } = guards
  await app.register(revocationRoutes, { prefix: '/api/revocations', revocations, keepMs: options.keepRevocationsMs })
  await app.register(adminRoutes, { prefix: '/api/admin', overview, sessions: new SessionDirectory(calls, alive) })
  return app
}

/** Escapes a path that cannot be decoded, so that the route answers that there is no such job. */
function readableUrl({ url = '' }: IncomingMessage): string {
  const [path = '', ...rest] = url.split('?')
  try {
    decodeURIComponent(path)
    return url
  } catch {
    return [path.replaceAll('%', '%25'), ...rest].join('?')
  }
}

/** Owners and admins see a job. For all other users it does not exist. */
function buildPolicy(app: FastifyInstance, jobs: JobService, { admission, revocations, upgrades }: Guards): Policy {
  const slots = new SocketSlots(admission)
  const mayView: Policy['mayView'] = (identity, owner) => identity.sub === owner || identity.role === 'admin'
  return {
    authenticate: (token) => app.authenticateUser(token),
    enter: async (identity, probe) => {
      const leave = await slots.enter(identity.sub, probe)
      // A draining node has freed all slots, also one that was just being acquired.
      if (!leave) throw new RuncastError(upgrades.draining ? 'restart' : 'too_many_sockets')
      // The token may have been revoked in the meantime.
      if (!revocations.isRevoked(identity)) return leave
      leave()
      throw new RuncastError('unauthenticated', REVOKED)
    },
    mayView,
    cancel: (identity, id) => jobs.cancel(id, (owner) => mayView(identity, owner)),
  }
}
