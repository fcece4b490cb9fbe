import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock } from '../../core/clock.js'
import { TokenBuckets } from '../../hub/guards/token-buckets.js'
import { RuncastError } from '../../protocol/codes.js'

export interface RateLimitOptions {
  /** Requests per user and second, on this node. */
  readonly maxPerUser: number
  /** Requests without a valid token per address and second, on this node. */
  readonly maxPerAddress: number
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request without a valid token. Throws `rate_limited` if its address has made too many. */
    countUnauthenticated(request: FastifyRequest): void
  }
  interface FastifyContextConfig {
    /** Excludes a route from the limits: a probe, or a route with its own limit. */
    isUnlimited?: boolean
    /** Excludes requests of workers, which the route limits itself. */
    isUnlimitedForWorkers?: boolean
  }
}

/** Maximum users, and maximum addresses, that are remembered. */
const MAX_KEYS = 10_000
/** A bucket gets its next token within a second. */
const RETRY_AFTER_MS = 1000

/**
 * Limits the rate of requests per user, and per address without a token. Each node counts by itself. Sockets have
 * limits of their own.
 */
export const rateLimit = fp(
  async (app: FastifyInstance, { maxPerUser, maxPerAddress }: RateLimitOptions) => {
    const users = new TokenBuckets(systemClock, { perSecond: maxPerUser, maxKeys: MAX_KEYS })
    const addresses = new TokenBuckets(systemClock, { perSecond: maxPerAddress, maxKeys: MAX_KEYS })
    const count = (buckets: TokenBuckets, key: string) => {
      if (!buckets.take(key))
        throw new RuncastError('rate_limited', {
          message: 'Too many requests in this second; retry after 1 s.',
          retryAfterMs: RETRY_AFTER_MS,
        })
    }
    app.decorate('countUnauthenticated', (request: FastifyRequest) => count(addresses, app.visitorOf(request).ip))
    // Runs after authentication and before the body is read.
    app.addHook('preParsing', async (request) => {
      const { isUnlimited, isUnlimitedForWorkers } = request.routeOptions.config
      if (request.ws || isUnlimited || (isUnlimitedForWorkers && request.identity?.role === 'worker')) return
      if (request.identity) count(users, request.identity.sub)
      else app.countUnauthenticated(request)
    })
  },
  { name: 'rate-limit', dependencies: ['visitors'] },
)
