import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import { auth } from './http/plugins/auth.js'
import { docs } from './http/plugins/docs.js'
import { errors } from './http/plugins/errors.js'
import { requestLogging } from './http/plugins/request-logging.js'
import { sessions } from './http/plugins/sessions.js'
import { validation } from './http/plugins/validation.js'
import { health, type ReadinessChecks } from './http/routes/health.js'
import { jobResource } from './http/routes/job-resource.js'
import { jobRoutes } from './http/routes/jobs.js'
import { processes } from './http/routes/processes.js'
import { sockets } from './http/routes/sockets.js'
import type { Hub } from './hub/hub.js'
import type { Policy } from './hub/policy.js'
import type { SessionLimits } from './hub/session.js'
import type { UserScopeLimits } from './hub/user-scope.js'
import type { JobService } from './jobs/job-service.js'
import { KINDS, RUN_KIND_NAMES } from './protocol/kinds.js'

export interface ServerOptions {
  readonly hub: Hub
  readonly jobs: JobService
  readonly checks: ReadinessChecks
  readonly jwtSecret: string
  /** `silent` for none. */
  readonly logLevel: string
  readonly sessionLimits: SessionLimits
  readonly userLimits: UserScopeLimits
  /** How long clients may take to move to another node when this one stops. */
  readonly drainMs: number
  readonly maxInboundBytes: number
}

/** A hub's HTTP side, not yet listening: a table of contents. Closing it closes its sessions with 1012; the parts handed in stay open. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const app = Fastify({
    ...requestLogging(options.logLevel),
    bodyLimit: options.maxInboundBytes,
    forceCloseConnections: true,
    rewriteUrl: readableUrl,
    // More than Node lets through: an id that is too long is answered like any other that is no id.
    routerOptions: { maxParamLength: 65_536 },
  })
  await app.register(errors)
  await app.register(validation)
  await app.register(auth, { secret: options.jwtSecret })
  await app.register(docs)

  const policy = buildPolicy(app, options.jobs)
  await app.register(sessions, { hub: options.hub, policy, limits: options.sessionLimits, drainMs: options.drainMs })
  await app.register(health, { checks: { ...options.checks, serving: async () => !app.isDraining } })
  await app.register(sockets, { maxInboundBytes: options.maxInboundBytes, userLimits: options.userLimits })
  for (const kind of RUN_KIND_NAMES)
    await app.register(jobRoutes, { prefix: `/api/v2/${KINDS[kind].path}`, kind, jobs: options.jobs, policy })
  await app.register(jobResource, { prefix: processes.base, resource: processes, jobs: options.jobs, policy })
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
function buildPolicy(app: FastifyInstance, jobs: JobService): Policy {
  const mayView: Policy['mayView'] = (identity, owner) => identity.sub === owner || identity.role === 'admin'
  return {
    authenticate: (token) => app.authenticate(token),
    enter: async () => () => {},
    mayView,
    cancel: (identity, id) => jobs.cancel(id, (owner) => mayView(identity, owner)),
  }
}
