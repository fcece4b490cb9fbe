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

/** A user that a server has authenticated by its own login. */
export interface LoggedIn {
  /** The user's id: 1 to 256 characters. It owns the jobs that the user submits. */
  readonly sub: string
  /** `user` sees own jobs, `admin` all jobs, `worker` only claims jobs. */
  readonly role: Role
  /** Of a worker: the kinds of jobs that it may claim. Default: all. */
  readonly kinds?: readonly string[]
  /**
   * When sockets and streams of this login end; a number is in ms since the epoch. Default: after 15 minutes. The login
   * is read again when a client reconnects.
   */
  readonly expiresAt?: number | Date
}

/**
 * Reads the login of a request. Null or an error is answered with 401, a `RuncastError` with its own status, and no
 * answer within `authTimeoutMs` with 503.
 */
export type Authenticate<Request> = (request: Request) => LoggedIn | null | undefined | Promise<LoggedIn | null | undefined>

export interface LoginOptions {
  readonly authenticate: Authenticate<unknown>
  /** Duration of sessions whose login has no `expiresAt`, in ms. */
  readonly sessionMs: number
  /** Maximum duration of a call, in ms. */
  readonly timeoutMs: number
  readonly revocations: Revocations
}

/** Duration of a session without `expiresAt`. */
export const DEFAULT_SESSION_MS = 15 * 60_000

/** The last moment that a `Date` can represent. */
const MAX_DATE_MS = 8_640_000_000_000_000

const Answer = Compile(
  Type.Object({
    sub: UserId,
    role: Type.Enum(['user', 'admin', 'worker']),
    kinds: Type.Optional(Type.Array(Type.String())),
    expiresAt: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_DATE_MS })),
  }),
)

/**
 * Authenticates by the login of the server in which the hub is mounted. The login is read for every request and every
 * new socket. Nothing is cached.
 */
export const login = fp(
  async (app: FastifyInstance, { authenticate, sessionMs, timeoutMs, revocations }: LoginOptions) => {
    const authenticateLogin = async (request: FastifyRequest): Promise<Identity> => {
      const answer = await answerOf(request, () => authenticate(app.visitorOf(request).request), timeoutMs)
      if (!answer) throw new RuncastError('unauthenticated', 'Log in first.')
      const now = Date.now()
      const { sub, role, kinds, expiresAt: given } = answer
      const expiresAt = given instanceof Date ? given.getTime() : given
      if (!Answer.Check({ sub, role, ...(kinds !== undefined && { kinds }), ...(expiresAt !== undefined && { expiresAt }) }))
        throw new TypeError(
          'authenticate: expected null or { sub: 1 to 256 characters, role: user, admin or worker, kinds?: names, expiresAt?: Date or ms }',
        )
      if (expiresAt !== undefined && expiresAt <= now) throw new RuncastError('expired')
      // The login is valid now. A revocation closes open connections; the login decides about the next request.
      return { sub, role, ...(kinds !== undefined && { kinds }), expiresAt: expiresAt ?? now + sessionMs, issuedAt: now }
    }
    const proofOf = (request: FastifyRequest): Proof => ({ key: keyOf(request), identify: () => authenticateLogin(request) })
    const rejectToken = async () => {
      throw new RuncastError('unauthenticated', 'This hub does not accept tokens; it uses the login of its server.')
    }
    await app.register(identify, { proofOf, authenticate: rejectToken, revocations })
  },
  { name: 'login', dependencies: ['visitors'] },
)

/** Null if the login throws. Rejects with `overloaded` if it does not answer in time. Both are logged. */
async function answerOf(
  request: FastifyRequest,
  read: () => ReturnType<Authenticate<unknown>>,
  timeoutMs: number,
): Promise<LoggedIn | null | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      request.log.warn({ timeoutMs }, 'authenticate did not answer in time; the request is answered with 503')
      reject(new RuncastError('overloaded', 'The login did not answer in time.'))
    }, timeoutMs)
  })
  try {
    return await Promise.race([read(), late])
  } catch (error) {
    if (error instanceof RuncastError) throw error
    request.log.warn({ err: error }, 'authenticate threw an error; the request is answered with 401')
    return null
  } finally {
    clearTimeout(timer)
  }
}

/** Identifies a login that is rejected repeatedly: the headers that can carry one. */
function keyOf({ headers }: FastifyRequest): string {
  return JSON.stringify([headers.cookie, headers.authorization])
}
