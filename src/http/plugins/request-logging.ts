import type { FastifyRequest, FastifyServerOptions } from 'fastify'

/**
 * What is left out of every logged error: a request that cannot be parsed, which comes along as a whole, and the command that Redis has refused, with its
 * arguments: a password, the input of a job.
 */
export const redact = { paths: ['err.rawPacket', 'err.command', 'err.previousErrors', 'err.lastNodeError'], remove: true }

/** Logging of requests: tokens in URLs are blotted out before a line is written; headers and bodies are not logged at all. */
export function requestLogging(level: string): Pick<FastifyServerOptions, 'logger' | 'disableRequestLogging'> {
  if (level === 'silent') return { logger: false }
  const serializers = {
    req: (request: FastifyRequest) => ({ method: request.method, url: withoutToken(request.url), remoteAddress: request.ip }),
  }
  return { logger: { level, serializers, redact } }
}

/** Blots out the value of any parameter that reads `token`, also percent-encoded, and whatever else looks like a JWT, wherever it stands. */
export function withoutToken(url: string): string {
  const [path = '', ...rest] = url.replace(/[\w.-]+/g, withoutJwt).split('?')
  if (rest.length === 0) return path
  const pairs = rest.join('?').split('&')
  const blotted = pairs.map((pair) => (isTokenName(pair.split('=', 1)[0] ?? '') ? 'token=***' : pair))
  return `${path}?${blotted.join('&')}`
}

/** A run of words and dots without what may be a JWT, also where something stands right before it, as in `token%3DeyJ…`. Costs no more than its length. */
function withoutJwt(run: string): string {
  const begin = run.indexOf('eyJ')
  return begin >= 0 && run.slice(begin).split('.').length >= 3 ? `${run.slice(0, begin)}***` : run
}

function isTokenName(name: string): boolean {
  try {
    return decodeURIComponent(name).trim().toLowerCase() === 'token'
  } catch {
    return true
  }
}
