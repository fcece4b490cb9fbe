import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Kinds } from '../core/kind.js'
import { Places } from '../hub/guards/places.js'
import type { Policy } from '../hub/guards/policy.js'
import type { Hub } from '../hub/hub.js'
import type { UserScopeLimits } from '../hub/scopes/user-scope.js'
import type { SessionLimits } from '../hub/session.js'
import type { ClaimService } from '../jobs/claims/claim-service.js'
import type { JobService } from '../jobs/job-service.js'
import { RuncastError } from '../protocol/codes.js'
import { REVOKED } from '../storage/revocations.js'
import type { KindRoutes } from './kind-routes.js'
import { Mount } from './mount.js'
import { type AuthOptions, auth } from './plugins/auth.js'
import { bodies, DEFAULT_BODIES_OPTIONS } from './plugins/bodies.js'
import { counting } from './plugins/counting.js'
import { docs } from './plugins/docs.js'
import { errors } from './plugins/errors.js'
import { type LoginOptions, login } from './plugins/login.js'
import { origins } from './plugins/origins.js'
import { parting } from './plugins/parting.js'
import { query } from './plugins/query.js'
import { type RateLimitOptions, rateLimit } from './plugins/rate-limit.js'
import { answerMalformed } from './plugins/raw-answer.js'
import { requestLogging } from './plugins/request-logging.js'
import { securityHeaders } from './plugins/security-headers.js'
import { type Guards, sessions } from './plugins/sessions.js'
import { upgrades } from './plugins/upgrades.js'
import { validation } from './plugins/validation.js'
import { visitors } from './plugins/visitors.js'
import { allJobs, allJobsRoutes } from './routes/all-jobs.js'
import { claimRoutes } from './routes/claims.js'
import { health, type ReadinessChecks, type StoreReport } from './routes/health.js'
import { jobResource } from './routes/job-resource.js'
import { jobRoutes } from './routes/jobs.js'
import { processes } from './routes/processes.js'
import { revocationRoutes } from './routes/revocations.js'
import { sockets } from './routes/sockets.js'
import { submitProcess } from './routes/submit-process.js'

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** What `/readyz` asks: the checks that were handed in, and whether it takes clients. */
    readiness: ReadinessChecks
  }
}

export interface ServerOptions {
  readonly hub: Hub
  readonly jobs: JobService
  /** Jobs for workers over HTTP. */
  readonly claims: ClaimService
  /** Those that this hub serves. */
  readonly kinds: Kinds
  /** What they have beside the routes that derive from their contracts. */
  readonly kindRoutes?: readonly KindRoutes[]
  readonly checks: ReadinessChecks
  /** Whether Redis takes the writes of this node. */
  readonly store: () => Promise<StoreReport>
  /** How users are known: by tokens, or by the login of the server that the hub is mounted in. */
  readonly auth: AuthOptions | LoginOptions
  readonly rateLimits: RateLimitOptions
  /** Pages that may connect; empty for all. */
  readonly allowedOrigins: readonly string[]
  /** Where clients reach the hub, with the prefix that a proxy takes off its paths; empty where that is what their requests say. */
  readonly publicUrl: string
  /** Whether `/docs` is served. */
  readonly hasDocs: boolean
  /** Proxies whose `X-Forwarded-For` is believed; empty for none. */
  readonly trustedProxies: readonly string[]
  /** How long a revocation is kept where its end is not told. */
  readonly keepRevocationsMs: number
  /** Who comes in, and who may stay. */
  readonly guards: Guards
  /** `silent` for none. */
  readonly logLevel: string
  /** Another server that hands requests over; without it the hub listens itself. */
  readonly mount?: Mount
  /** The logger of that server. */
  readonly logger?: FastifyBaseLogger
  readonly sessionLimits: SessionLimits
  readonly userLimits: UserScopeLimits
  /** How long clients may take to move to another node when this one stops. */
  readonly drainMs: number
  /** How long this node, when it stops, answers requests at least. */
  readonly drainLeastMs: number
  readonly maxInboundBytes: number
  /** Most TCP connections; another one is closed at once. */
  readonly maxConnections: number
  /** Most bytes of a post about a claimed job. */
  readonly maxPostBytes: number
}

/** How long the head of a request may take, and how often that is looked at. */
const HEADERS_TIMEOUT_MS = 10_000
const HEADERS_CHECK_MS = 2500

/** A hub's HTTP side, not yet listening: a table of contents. Closing it closes its sessions with 1012; the parts handed in stay open. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { mount = new Mount('') } = options
  const app = Fastify({
    ...requestLogging(options.logLevel, options.logger),
    bodyLimit: options.maxInboundBytes,
    // What is under way is answered, see `parting`.
    forceCloseConnections: 'idle',
    clientErrorHandler: answerMalformed,
    // Of bodies `bodies` takes care: Node's own time for a request would end large uploads.
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: HEADERS_CHECK_MS, requireHostHeader: false },
    trustProxy: options.trustedProxies.length > 0 && [...options.trustedProxies],
    rewriteUrl: readableUrl,
    // More than Node lets through: an id that is too long is answered like any other that is no id.
    routerOptions: { maxParamLength: 65_536 },
  })
  await app.register(visitors, { known: (raw) => mount.visitorOf(raw) })
  await app.register(counting)
  app.server.maxConnections = options.maxConnections
  await app.register(bodies, DEFAULT_BODIES_OPTIONS)
  await app.register(errors)
  await app.register(validation)
  await app.register(query)
  // Strict transport security would hold for all of the other server.
  await app.register(securityHeaders, { isHttps: mount.prefix === '' && options.publicUrl.startsWith('https:') })
  const { allowedOrigins: allowed, publicUrl } = options
  await app.register(origins, { allowed, publicUrl, prefix: mount.prefix, isStrict: 'authenticate' in options.auth })
  await app.register(rateLimit, options.rateLimits)
  if ('authenticate' in options.auth) await app.register(login, options.auth)
  else await app.register(auth, options.auth)
  if (options.hasDocs) await app.register(docs, { publicUrl: publicUrl || mount.prefix })

  const { drainMs, drainLeastMs, guards } = options
  const policy = buildPolicy(app, options.jobs, guards)
  await app.register(sessions, { hub: options.hub, policy, limits: options.sessionLimits, drainMs, drainLeastMs, guards })
  await app.register(parting, { limit: guards.upgrades })
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
  const { kinds, jobs } = options
  for (const kind of kinds.all) {
    if (kind.path !== null) await app.register(jobRoutes, { prefix: `/api/v2/${kind.path}`, jobs, policy, kind })
  }
  await app.register(allJobsRoutes, { prefix: allJobs.base, jobs: options.jobs, policy })
  await app.register(jobResource, { prefix: processes.base, resource: processes, jobs: options.jobs, policy })
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
  return app
}

/** A path that cannot be decoded is taken as it stands, so that a route can say that there is no such job. */
function readableUrl({ url = '' }: IncomingMessage): string {
  const [path = '', ...rest] = url.split('?')
  try {
    decodeURIComponent(path)
    return url
  } catch {
    return [path.replaceAll('%', '%25'), ...rest].join('?')
  }
}

/** Owners and admins see a job; for all others it does not exist. */
function buildPolicy(app: FastifyInstance, jobs: JobService, { admission, revocations, upgrades }: Guards): Policy {
  const places = new Places(admission)
  const mayView: Policy['mayView'] = (identity, owner) => identity.sub === owner || identity.role === 'admin'
  return {
    authenticate: (token) => app.authenticateUser(token),
    enter: async (identity, probe) => {
      const leave = await places.enter(identity.sub, probe)
      // A node that drains has given all places back, also one that was just being taken.
      if (!leave) throw new RuncastError(upgrades.draining ? 'restart' : 'too_many_sockets')
      // It may have been revoked while this waited.
      if (!revocations.isRevoked(identity)) return leave
      leave()
      throw new RuncastError('unauthenticated', REVOKED)
    },
    mayView,
    cancel: (identity, id) => jobs.cancel(id, (owner) => mayView(identity, owner)),
  }
}
