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

/** What tokens are verified with: any of the three; an empty text is none. */
export interface TokenKeys {
  /** HS256. */
  readonly secret: string
  /** PEM or the path of a PEM file: RS256, ES256 or EdDSA, by the kind of the key. */
  readonly publicKey: string
  /** JWK Set: RS256, ES256, EdDSA. */
  readonly jwksUrl: string
}

export interface AuthOptions {
  readonly keys: TokenKeys
  readonly expected: ExpectedClaims
  /** Name of a cookie that may bring the token; empty for none. */
  readonly cookie: string
  readonly revocations: Revocations
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** The token in a page's cookie; only of a page that is trusted by name, since a browser sends cookies whoever asks it to. */
    cookieTokenOf(request: FastifyRequest): string | undefined
  }
}

/** Tokens: of the algorithms that the keys are for and nothing else, `exp` and `sub` required, not revoked. Every fault of a token is `unauthenticated` or `expired`, never a failure of the server. */
export const auth = fp(
  async (app: FastifyInstance, { keys, expected, cookie, revocations }: AuthOptions) => {
    const sources: KeySource[] = []
    if (keys.secret !== '') {
      await app.register(fastifyJwt, { secret: keys.secret, verify: { ...SIGNATURE_ONLY, algorithms: ['HS256'] } })
      sources.push({ algorithms: ['HS256'], claims: async (token) => claimsBySecret(app, token) })
    }
    if (keys.publicKey !== '') sources.push(publicKeySource(keys.publicKey))
    if (keys.jwksUrl !== '')
      sources.push(keyServerSource(keys.jwksUrl, (error) => app.log.warn({ err: error }, 'keys of tokens cannot be fetched')))

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

/** The token of a request: `Authorization: Bearer`, else `?token=`, since a browser's WebSocket sends no headers of its own, else a trusted page's cookie. */
function tokenOf(request: FastifyRequest): string | undefined {
  const [scheme, bearer] = request.headers.authorization?.split(' ') ?? []
  if (scheme?.toLowerCase() === 'bearer' && bearer) return bearer
  const { token } = request.query as { token?: string | string[] }
  return [token].flat()[0] ?? request.server.cookieTokenOf(request)
}

/** The value of a cookie (RFC 6265, section 4.2), without the quotes that it may stand in. */
function cookieOf(header: string | undefined, name: string): string | undefined {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim())
  return pairs
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1)
    .replace(/^"(.*)"$/, '$1')
}

/** Asks the sources of the token's algorithm one after the other. Where one of them cannot tell right now, that is the answer, unless another knows the token. */
async function claimsOf(token: string, sources: readonly KeySource[]): Promise<unknown> {
  const { alg } = headerOf(token)
  partOf(token, 1) // its claims are UTF-8
  let refusal = new RuncastError('unauthenticated')
  for (const source of sources.filter(({ algorithms }) => algorithms.includes(alg))) {
    try {
      return await source.claims(token)
    } catch (error) {
      if (!(error instanceof RuncastError)) throw error
      // The most telling one: that a source cannot tell, else the reason of the last.
      if (refusal.code === 'unauthenticated') refusal = error
    }
  }
  throw refusal
}

function claimsBySecret(app: FastifyInstance, token: string): unknown {
  const claims = verified(token, (text) => app.jwt.verify(text))
  if (claims === undefined) throw new RuncastError('unauthenticated')
  return claims
}
