import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Identity } from '../../core/identity.js'
import type { Proof } from '../../hub/session.js'
import { RuncastError } from '../../protocol/codes.js'
import { REVOKED, type Revocations } from '../../storage/revocations.js'
import { whyNotFrom } from './origins.js'

/** How requests are authenticated: by tokens (`auth`), or by the login of another server (`login`). */
export interface IdentifyOptions {
  /** The credentials of a request; undefined if it has none. The role is not checked. */
  proofOf(request: FastifyRequest): Proof | undefined
  /** The identity of a token in a message. The role is not checked. */
  authenticate(token: string): Promise<Identity>
  readonly revocations: Revocations
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** The identity of a token, of any role. Rejects with `unauthenticated`, `expired` or `overloaded`. */
    authenticate(token: string): Promise<Identity>
    /** Checks an identity again. Throws `expired` or `unauthenticated` if it is no longer valid. */
    confirm(identity: Identity): void
    /** The credentials of a request. Identifying a worker by them rejects with `forbidden`. */
    proofOf(request: FastifyRequest): Proof | undefined
    /** The identity of a user's token. Rejects as `authenticate`, and with `forbidden` for a worker. */
    authenticateUser(token: string): Promise<Identity>
    /**
     * Hook for routes for users: sets `request.identity`. Rejects with `forbidden`, `unauthenticated`, `expired` or
     * `overloaded` before the body is read.
     */
    identify(request: FastifyRequest): Promise<void>
    /** The same for routes for workers. */
    identifyWorker(request: FastifyRequest): Promise<void>
    /** The same for routes that check the role themselves. */
    identifyAny(request: FastifyRequest): Promise<void>
  }
  interface FastifyRequest {
    /** The sender, on routes with the hook `identify`, `identifyWorker` or `identifyAny`. */
    identity: Identity
  }
}

const NO_TOKEN = 'No token: send the header `Authorization: Bearer <token>`.'

type Check = (identity: Identity) => Identity

const asUser: Check = (identity) => {
  if (identity.role === 'worker') throw new RuncastError('forbidden', 'The role worker may only claim jobs.')
  return identity
}
const asWorker: Check = (identity) => {
  if (identity.role !== 'worker') throw new RuncastError('forbidden', 'Only the role worker may claim jobs.')
  return identity
}

/** Authentication for routes and sessions, independent of how identities are proved. */
export const identify = fp(
  async (app: FastifyInstance, { proofOf, authenticate, revocations }: IdentifyOptions) => {
    const unlessRevoked = async (identity: Identity): Promise<Identity> => {
      await revocations.ready()
      if (revocations.isRevoked(identity)) throw new RuncastError('unauthenticated', REVOKED)
      return identity
    }
    app.decorate('confirm', (identity: Identity) => {
      if (identity.expiresAt <= Date.now()) throw new RuncastError('expired')
      if (revocations.isRevoked(identity)) throw new RuncastError('unauthenticated', REVOKED)
    })
    app.decorate('authenticate', async (token: string) => unlessRevoked(await authenticate(token)))
    app.decorate('authenticateUser', async (token: string) => asUser(await app.authenticate(token)))
    app.decorate('proofOf', (request: FastifyRequest) => {
      const proof = proofOf(request)
      return proof && { key: proof.key, identify: async () => asUser(await unlessRevoked(await proof.identify())) }
    })
    app.decorateRequest('identity')
    const identifyAs = (check: Check) => async (request: FastifyRequest) => {
      if (!app.mayConnectFrom(request)) throw new RuncastError('forbidden', whyNotFrom(request))
      try {
        const proof = proofOf(request)
        if (!proof) throw new RuncastError('unauthenticated', NO_TOKEN)
        request.identity = check(await unlessRevoked(await proof.identify()))
      } catch (error) {
        app.countUnauthenticated(request)
        throw error
      }
    }
    app.decorate('identify', identifyAs(asUser))
    app.decorate('identifyWorker', identifyAs(asWorker))
    app.decorate(
      'identifyAny',
      identifyAs((identity) => identity),
    )
  },
  { name: 'identify', dependencies: ['origins', 'rate-limit'] },
)
