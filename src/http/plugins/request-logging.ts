import { type FastifyBaseLogger, type FastifyRequest, type FastifyServerOptions, LogController } from 'fastify'

/**
 * What is left out of every logged error: a request that cannot be parsed, which comes along as a whole, and the command that Redis has refused, with its
 * arguments: a password, the input of a job.
 */
export const redact = { paths: ['err.rawPacket', 'err.command', 'err.previousErrors', 'err.lastNodeError'], remove: true }

/**
 * Logging of requests: by the pattern of their route. Nothing that a client chose freely, no path, query, header or body, comes into a line, so that no token can,
 * however it is encoded. `host`: logger of a server that logs its requests itself.
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
