import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity } from '../../hub/policy.js'
import { Refusal } from '../../protocol/codes.js'

const Claims = Compile(
  Type.Object({
    sub: Type.String({ minLength: 1, maxLength: 256 }),
    exp: Type.Number(),
    role: Type.Optional(Type.Enum(['user', 'admin', 'worker'])),
  }),
)

declare module 'fastify' {
  interface FastifyInstance {
    authenticate(token: string): Promise<Identity>
  }
  interface FastifyRequest {
    /** Whom the request's token speaks for; throws `unauthenticated` without a valid one. */
    identify(): Promise<Identity>
  }
}

/** Tokens: HS256 and nothing else, `exp` and `sub` required. Every fault of a token is `unauthenticated` or `expired`, never a failure of the server. */
export const auth = fp(
  async (app: FastifyInstance, options: { secret: string }) => {
    await app.register(fastifyJwt, { secret: options.secret, verify: { algorithms: ['HS256'] } })

    app.decorate('authenticate', async (token: string): Promise<Identity> => {
      const claims = verify(app, token)
      if (!Claims.Check(claims)) throw new Refusal('unauthenticated', 'The token lacks sub or exp, or has an unknown role.')
      return { sub: claims.sub, role: claims.role ?? 'user', expiresAt: claims.exp * 1000 }
    })

    app.decorateRequest('identify', async function (this: FastifyRequest) {
      const token = tokenOf(this)
      if (token === undefined) throw new Refusal('unauthenticated')
      return app.authenticate(token)
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
