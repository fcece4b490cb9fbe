import { type FastifyBaseLogger, type FastifyRequest, type FastifyServerOptions, LogController } from 'fastify'

/**
 * Fields removed from logged errors: the raw bytes of a malformed request, and Redis commands with their arguments,
 * which may hold a password or the input of a job.
 */
export const redact = { paths: ['err.rawPacket', 'err.command', 'err.previousErrors', 'err.lastNodeError'], remove: true }

/**
 * Logs requests by the pattern of their route. Nothing that a client chooses freely (path, query, header, body) is
 * logged, so no token is either, however it is encoded. `host`: logger of a server that logs its requests itself.
 */
export function requestLogging(
  level: string,
  host?: FastifyBaseLogger,
): Pick<FastifyServerOptions, 'logger' | 'loggerInstance' | 'logController'> {
  if (host) return { loggerInstance: host, logController: new LogController({ disableRequestLogging: true }) }
  if (level === 'silent') return { logger: false }
  const serializers = {
    req: ({ method, routeOptions, ip }: FastifyRequest) => ({ method, route: routeOptions.url ?? 'unmatched', remoteAddress: ip }),
  }
  return { logger: { level, serializers, redact } }
}
