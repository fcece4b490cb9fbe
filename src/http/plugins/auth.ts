import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Identity } from '../../core/identity.js'
import type { Proof } from '../../hub/session.js'
import { RuncastError } from '../../protocol/codes.js'
import type { Revocations } from '../../storage/revocations.js'
import { identify } from './identify.js'
import { keyServerSource } from './key-server.js'
import { headerOf, type KeySource, partOf, publicKeySource, SIGNATURE_ONLY, verified } from './keys.js'
import { type ExpectedClaims, identityOf } from './token-claims.js'

/** Keys that verify tokens. At least one is set; an empty string stands for none. */
export interface TokenKeys {
  /** HS256. */
  readonly secret: string
  /** PEM or the path of a PEM file. The type of the key selects RS256, ES256 or EdDSA. */
  readonly publicKey: string
  /** URL of a JWK Set: RS256, ES256, EdDSA. */
  readonly jwksUrl: string
}

export interface AuthOptions {
  readonly keys: TokenKeys
  readonly expected: ExpectedClaims
  /** Name of a cookie that may carry the token; empty for none. */
  readonly cookie: string
  readonly revocations: Revocations
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The token in the cookie of a trusted page. Other pages are ignored: a browser sends cookies with any page's
     * requests.
     */
    cookieTokenOf(request: FastifyRequest): string | undefined
  }
}

/**
 * Authenticates by tokens. Accepts only the algorithms of the configured keys, requires `exp` and `sub`, and checks
 * revocations. An invalid token is always `unauthenticated` or `expired`, never an internal error.
 */
export const auth = fp(
  async (app: FastifyInstance, { keys, expected, cookie, revocations }: AuthOptions) => {
    const sources: KeySource[] = []
    if (keys.secret !== '') {
      await app.register(fastifyJwt, { secret: keys.secret, verify: { ...SIGNATURE_ONLY, algorithms: ['HS256'] } })
      sources.push({ algorithms: ['HS256'], claims: async (token) => claimsBySecret(app, token) })
    }
    if (keys.publicKey !== '') sources.push(publicKeySource(keys.publicKey))
    if (keys.jwksUrl !== '')
      sources.push(keyServerSource(keys.jwksUrl, (error) => app.log.warn({ err: error }, 'JWT_JWKS_URL: the keys cannot be fetched')))

    app.decorate('cookieTokenOf', (request: FastifyRequest) => {
      return cookie !== '' && app.isTrustedPage(request) ? cookieOf(request.headers.cookie, cookie) : undefined
    })
    const authenticate = async (token: string): Promise<Identity> => identityOf(await claimsOf(token, sources), expected, Date.now())
    const proofOf = (request: FastifyRequest): Proof | undefined => {
      const token = tokenOf(request)
      return token === undefined ? undefined : { key: token, identify: () => authenticate(token) }
    }
    await app.register(identify, { proofOf, authenticate, revocations })
  },
  { name: 'auth', dependencies: ['origins'] },
)

/**
 * The token of a request: `Authorization: Bearer`, else `?token=`, since a browser cannot set headers of a WebSocket,
 * else the cookie of a trusted page.
 */
function tokenOf(request: FastifyRequest): string | undefined {
  const [scheme, bearer] = request.headers.authorization?.split(' ') ?? []
  if (scheme?.toLowerCase() === 'bearer' && bearer) return bearer
  const { token } = request.query as { token?: string | string[] }
  return [token].flat()[0] ?? request.server.cookieTokenOf(request)
}

/** The value of a cookie (RFC 6265, section 4.2), without surrounding quotes. */
function cookieOf(header: string | undefined, name: string): string | undefined {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim())
  return pairs
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1)
    .replace(/^"(.*)"$/, '$1')
}

/**
 * Tries the key sources of the token's algorithm in order. If one of them is unavailable and no other knows the token,
 * its error is thrown.
 */
async function claimsOf(token: string, sources: readonly KeySource[]): Promise<unknown> {
  const { alg } = headerOf(token)
  partOf(token, 1) // rejects claims that are not UTF-8
  let failure: RuncastError | undefined
  for (const source of sources.filter(({ algorithms }) => algorithms.includes(alg))) {
    try {
      return await source.claims(token)
    } catch (error) {
      if (!(error instanceof RuncastError)) throw error
      // An unavailable source takes precedence over a plain rejection.
      if (!failure || failure.code === 'unauthenticated') failure = error
    }
  }
  throw failure ?? new RuncastError('unauthenticated')
}

function claimsBySecret(app: FastifyInstance, token: string): unknown {
  const claims = verified(token, (text) => app.jwt.verify(text))
  if (claims === undefined) throw new RuncastError('unauthenticated', 'The token was signed with another secret, or changed since.')
  return claims
}
