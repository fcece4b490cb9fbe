import { type FastifyBaseLogger, type FastifyRequest, type FastifyServerOptions, LogController } from 'fastify'
import { isJobId } from '../../protocol/job-id.js'

/**
 * Fields removed from logged errors: the raw bytes of a malformed request, and Redis commands with their arguments,
 * which may hold a password or the input of a job.
 */
export const redact = { paths: ['err.rawPacket', 'err.command', 'err.previousErrors', 'err.lastNodeError'], remove: true }

/**
 * Logs requests by the pattern of their route. Nothing that a client chooses freely (path, query, header, body) is
 * logged, so no token is either, however it is encoded. An answer has the user and, if it exists, the job of its path.
 * `host`: logger of a server that logs its requests itself.
 */
export function requestLogging(
  level: string,
  host?: FastifyBaseLogger,
): Pick<FastifyServerOptions, 'logger' | 'loggerInstance' | 'logController'> {
  if (host) return { loggerInstance: host, logController: new LogController({ disableRequestLogging: true }) }
  if (level === 'silent') return { logger: false }
  const serializers = {
    req: ({ method, routeOptions, ip }: FastifyRequest) => ({ method, route: routeOptions.url ?? 'unmatched', remoteAddress: ip }),
    res: (reply: Answered) => ({ statusCode: reply.statusCode ?? 0, ...subjectsOf(reply) }),
  }
  return { logger: { level, serializers, redact } }
}

/** A response, which may be one past Fastify. */
interface Answered {
  readonly statusCode?: number
  readonly request?: unknown
}

/** The user of a request, and the job that its path names. A path that names no job may hold anything. */
function subjectsOf({ request, statusCode = 500 }: Answered): { user?: string; job?: string } {
  const { identity, params } = (request ?? {}) as Partial<FastifyRequest>
  if (!identity) return {}
  const { id } = (params ?? {}) as { readonly id?: unknown }
  return { user: identity.sub, ...(statusCode < 400 && typeof id === 'string' && isJobId(id) && { job: id }) }
}
