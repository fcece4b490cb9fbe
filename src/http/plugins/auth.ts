import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity } from '../../hub/policy.js'
import { Refusal } from '../../protocol/codes.js'

/** The last second that a `Date` can tell. */
const MAX_EXP = 8_640_000_000_000

const Claims = Compile(
  Type.Object({
    sub: Type.String({ minLength: 1, maxLength: 256 }),
    exp: Type.Number({ maximum: MAX_EXP }),
    role: Type.Optional(Type.Enum(['user', 'admin', 'worker'])),
  }),
)

declare module 'fastify' {
  interface FastifyInstance {
    authenticate(token: string): Promise<Identity>
    /** Hook for routes that need a user: sets `request.identity`, or throws `unauthenticated` or `expired` before anything else of the request is read. */
    identify(request: FastifyRequest): Promise<void>
  }
  interface FastifyRequest {
    /** Whom the request's token speaks for, on routes with the hook `identify`. */
    identity: Identity
  }
}

/** Tokens: HS256 and nothing else, `exp` and `sub` required. Every fault of a token is `unauthenticated` or `expired`, never a failure of the server. */
export const auth = fp(
  async (app: FastifyInstance, options: { secret: string }) => {
    await app.register(fastifyJwt, { secret: options.secret, verify: { algorithms: ['HS256'] } })

    app.decorate('authenticate', async (token: string): Promise<Identity> => {
      const claims = verify(app, token)
      if (!Claims.Check(claims)) throw new Refusal('unauthenticated', 'The claims sub, exp or role of the token are missing or wrong.')
      return { sub: claims.sub, role: claims.role ?? 'user', issuedAt: 0, expiresAt: claims.exp * 1000 }
    })

    app.decorateRequest('identity')
    app.decorate('identify', async (request: FastifyRequest) => {
      const token = tokenOf(request)
      if (token === undefined) throw new Refusal('unauthenticated')
      request.identity = await app.authenticate(token)
    })
  },
  { name: 'auth' },
)

/** The token of a request: `Authorization: Bearer`, else `?token=`, since a browser's WebSocket sends no headers of its own. */
export function tokenOf(request: FastifyRequest): string | undefined {
  const [scheme, bearer] = request.headers.authorization?.split(' ') ?? []
  if (scheme?.toLowerCase() === 'bearer' && bearer) return bearer
  const { token } = request.query as { token?: string | string[] }
  return [token].flat()[0]
}

function verify(app: FastifyInstance, token: string): unknown {
  try {
    return app.jwt.verify(token)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw new Refusal(code === 'FAST_JWT_EXPIRED' ? 'expired' : 'unauthenticated')
  }
}
