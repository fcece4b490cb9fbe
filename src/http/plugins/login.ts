import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity, Role } from '../../core/identity.js'
import type { Proof } from '../../hub/session.js'
import { RuncastError } from '../../protocol/codes.js'
import { UserId } from '../../protocol/user-id.js'
import type { Revocations } from '../../storage/revocations.js'
import { identify } from './identify.js'

/** Whom a server has let in, by its own login. */
export interface LoggedIn {
  /** The user's id: 1 to 256 characters. Owns the jobs that are submitted with it. */
  readonly sub: string
  /** `user` sees own jobs, `admin` all jobs, `worker` claims jobs and does nothing else. */
  readonly role: Role
  /** When sockets and streams of this login end; a number is in ms since the epoch. Without it they end after 15 minutes. The login is asked again when a client reconnects. */
  readonly expiresAt?: number | Date
}

/** Reads the login of a request. Null, or an error, is answered with 401; a `RuncastError` with its own status. */
export type Authenticate<Request> = (request: Request) => LoggedIn | null | undefined | Promise<LoggedIn | null | undefined>

export interface LoginOptions {
  readonly authenticate: Authenticate<unknown>
  /** How long a session lives whose login does not say when it ends, in ms. */
  readonly sessionMs: number
  readonly revocations: Revocations
}

/** How long a session without `expiresAt` lives. */
export const DEFAULT_SESSION_MS = 15 * 60_000

/** The last moment that a `Date` can tell. */
const MAX_DATE_MS = 8_640_000_000_000_000

const Answer = Compile(
  Type.Object({
    sub: UserId,
    role: Type.Enum(['user', 'admin', 'worker']),
    expiresAt: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_DATE_MS })),
  }),
)

/** Identities by the login of the server that the hub is mounted in. It is asked for every request and for every new socket; nothing of its answers is kept. */
export const login = fp(
  async (app: FastifyInstance, { authenticate, sessionMs, revocations }: LoginOptions) => {
    const ask = async (request: FastifyRequest): Promise<Identity> => {
      const answer = await answerOf(request, () => authenticate(app.visitorOf(request).request))
      if (!answer) throw new RuncastError('unauthenticated', 'Log in first.')
      const now = Date.now()
      const { sub, role, expiresAt: given } = answer
      const expiresAt = given instanceof Date ? given.getTime() : given
      if (!Answer.Check({ sub, role, ...(expiresAt !== undefined && { expiresAt }) }))
        throw new TypeError(
          'authenticate: expected null or { sub: 1 to 256 characters, role: user, admin or worker, expiresAt?: a Date or ms }',
        )
      if (expiresAt !== undefined && expiresAt <= now) throw new RuncastError('expired')
      // The login holds now, so it is as new as can be: a revocation ends what is open, and this login decides about the next request.
      return { sub, role, expiresAt: expiresAt ?? now + sessionMs, issuedAt: now }
    }
    const proofOf = (request: FastifyRequest): Proof => ({ key: keyOf(request), identify: () => ask(request) })
    const noTokens = async () => {
      throw new RuncastError('unauthenticated', 'This hub takes no tokens: it uses the login of its server.')
    }
    await app.register(identify, { proofOf, authenticate: noTokens, revocations })
  },
  { name: 'login', dependencies: ['visitors'] },
)

/** Null where the login throws, which is logged. */
async function answerOf(request: FastifyRequest, ask: () => ReturnType<Authenticate<unknown>>): Promise<LoggedIn | null | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof RuncastError) throw error
    request.log.warn({ err: error }, 'authenticate failed: the request is answered with 401')
    return null
  }
}

/** What a login is remembered by where it is refused again and again: the headers that can carry one. */
function keyOf({ headers }: FastifyRequest): string {
  return JSON.stringify([headers.cookie, headers.authorization])
}
