import type { FastifyRequest, FastifyServerOptions } from 'fastify'

/** Logging of requests: tokens in URLs are blotted out before a line is written; headers and bodies are not logged at all. */
export function requestLogging(level: string): Pick<FastifyServerOptions, 'logger' | 'disableRequestLogging'> {
  if (level === 'silent') return { logger: false }
  const serializers = {
    req: (request: FastifyRequest) => ({ method: request.method, url: withoutToken(request.url), remoteAddress: request.ip }),
  }
  return { logger: { level, serializers } }
}

/** Also where the name is percent-encoded: the value of any parameter that reads `token`. */
export function withoutToken(url: string): string {
  const [path, query] = [url.split('?', 1)[0] ?? '', url.slice(url.indexOf('?') + 1)]
  if (!url.includes('?')) return url
  const blotted = query.split('&').map((pair) => (isTokenName(pair.split('=', 1)[0] ?? '') ? 'token=***' : pair))
  return `${path}?${blotted.join('&')}`
}

function isTokenName(name: string): boolean {
  try {
    return decodeURIComponent(name).trim().toLowerCase() === 'token'
  } catch {
    return true
  }
}
