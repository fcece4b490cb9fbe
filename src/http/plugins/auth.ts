import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import { REVOKED, type Revocations } from '../../storage/revocations.js'
import { headerOf, type KeySource, keyServerSource, partOf, publicKeySource } from './keys.js'
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

declare module 'fastify' {
  interface FastifyInstance {
    authenticate(token: string): Promise<Identity>
    /** Throws `expired` or `unauthenticated` where an identity that was good when it was read is so no longer. */
    confirm(identity: Identity): void
    /** The user of a token. Throws as `authenticate`, and `forbidden` for a worker, whose token claims jobs and does nothing else. */
    authenticateUser(token: string): Promise<Identity>
    /** Hook for routes that need a user: sets `request.identity`, or throws `forbidden`, `unauthenticated`, `expired` or `overloaded` before anything else of the request is read. */
    identify(request: FastifyRequest): Promise<void>
    /** The same for routes that need a worker. */
    identifyWorker(request: FastifyRequest): Promise<void>
    /** The token in a page's cookie; only of a page that is trusted by name, since a browser sends cookies whoever asks it to. */
    cookieTokenOf(request: FastifyRequest): string | undefined
  }
  interface FastifyRequest {
    /** Whom the request's token speaks for, on routes with the hook `identify`. */
    identity: Identity
  }
}

/** Tokens: of the algorithms that the keys are for and nothing else, `exp` and `sub` required, not revoked. Every fault of a token is `unauthenticated` or `expired`, never a failure of the server. */
export const auth = fp(
  async (app: FastifyInstance, { keys, expected, cookie, revocations }: AuthOptions) => {
    const sources: KeySource[] = []
    if (keys.secret !== '') {
      await app.register(fastifyJwt, { secret: keys.secret, verify: { algorithms: ['HS256'] } })
      sources.push({ algorithms: ['HS256'], claims: async (token) => verifyWithSecret(app, token) })
    }
    if (keys.publicKey !== '') sources.push(publicKeySource(keys.publicKey))
    if (keys.jwksUrl !== '')
      sources.push(keyServerSource(keys.jwksUrl, (error) => app.log.warn({ err: error }, 'keys of tokens cannot be fetched')))

    app.decorate('authenticate', async (token: string): Promise<Identity> => {
      const identity = identityOf(await claimsOf(token, sources), expected, Date.now())
      await revocations.ready()
      if (revocations.isRevoked(identity)) throw new RuncastError('unauthenticated', REVOKED)
      return identity
    })
    app.decorate('confirm', (identity: Identity) => {
      if (identity.expiresAt <= Date.now()) throw new RuncastError('expired')
      if (revocations.isRevoked(identity)) throw new RuncastError('unauthenticated', REVOKED)
    })
    app.decorate('cookieTokenOf', (request: FastifyRequest) => {
      return cookie !== '' && app.isTrustedPage(request) ? cookieOf(request.headers.cookie, cookie) : undefined
    })
    app.decorateRequest('identity')
    app.decorate('authenticateUser', async (token: string) => {
      const identity = await app.authenticate(token)
      if (identity.role === 'worker') throw new RuncastError('forbidden', 'The token of a worker claims jobs, and does nothing else.')
      return identity
    })
    const identifiedBy = (authenticate: (token: string) => Promise<Identity>) => async (request: FastifyRequest) => {
      if (!app.mayConnectFrom(request)) throw new RuncastError('forbidden', 'Pages of this origin are not allowed.')
      const token = tokenOf(request)
      try {
        if (token === undefined) throw new RuncastError('unauthenticated')
        request.identity = await authenticate(token)
      } catch (error) {
        app.countStranger(request)
        throw error
      }
    }
    app.decorate('identify', identifiedBy(app.authenticateUser))
    app.decorate(
      'identifyWorker',
      identifiedBy(async (token) => {
        const identity = await app.authenticate(token)
        if (identity.role !== 'worker') throw new RuncastError('forbidden', 'Only a worker may claim jobs.')
        return identity
      }),
    )
  },
  { name: 'auth', dependencies: ['origins', 'rate-limit'] },
)

/** The token of a request: `Authorization: Bearer`, else `?token=`, since a browser's WebSocket sends no headers of its own, else a trusted page's cookie. */
export function tokenOf(request: FastifyRequest): string | undefined {
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

function verifyWithSecret(app: FastifyInstance, token: string): unknown {
  try {
    return app.jwt.verify(token)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw new RuncastError(code === 'FAST_JWT_EXPIRED' ? 'expired' : 'unauthenticated')
  }
}
