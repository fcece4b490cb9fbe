import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock } from '../../core/clock.js'
import { TokenBuckets } from '../../hub/guards/token-buckets.js'
import { RuncastError } from '../../protocol/codes.js'

export interface RateLimitOptions {
  /** Requests of one user in a second, on this node. */
  readonly maxPerUser: number
  /** The same of one address, of requests that bring no good token. */
  readonly maxPerAddress: number
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request that brings no good token. Throws `rate_limited` where its address has made too many. */
    countStranger(request: FastifyRequest): void
  }
  interface FastifyContextConfig {
    /** Its requests are not counted: a probe, or a route with a limit of its own. */
    isUnlimited?: boolean
  }
}

/** Users and addresses that are remembered. */
const MAX_KEYS = 10_000
/** A bucket has its next token within a second. */
const RETRY_AFTER_MS = 1000

/** Limits how often a user, or an address without a token, may ask. It asks nobody else: each node counts by itself. Sockets have limits of their own. */
export const rateLimit = fp(
  async (app: FastifyInstance, { maxPerUser, maxPerAddress }: RateLimitOptions) => {
    const users = new TokenBuckets(systemClock, { perSecond: maxPerUser, maxKeys: MAX_KEYS })
    const addresses = new TokenBuckets(systemClock, { perSecond: maxPerAddress, maxKeys: MAX_KEYS })
    const count = (buckets: TokenBuckets, key: string) => {
      if (!buckets.take(key))
        throw new RuncastError('rate_limited', { message: 'Too many requests in this second; slow down.', retryAfterMs: RETRY_AFTER_MS })
    }
    app.decorate('countStranger', (request: FastifyRequest) => count(addresses, app.visitorOf(request).ip))
    // After all hooks that ask for a token, and before the body is read.
    app.addHook('preParsing', async (request) => {
      if (request.ws || request.routeOptions.config.isUnlimited) return
      if (request.identity) count(users, request.identity.sub)
      else app.countStranger(request)
    })
  },
  { name: 'rate-limit', dependencies: ['visitors'] },
)
