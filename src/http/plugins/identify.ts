import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Identity } from '../../core/identity.js'
import type { Proof } from '../../hub/session.js'
import { RuncastError } from '../../protocol/codes.js'
import { REVOKED, type Revocations } from '../../storage/revocations.js'

/** How identities are proved: by tokens (`auth`), or by the login of another server (`login`). */
export interface IdentifyOptions {
  /** What a request brings to prove who sends it; undefined where it brings nothing. Its role is not looked at. */
  proofOf(request: FastifyRequest): Proof | undefined
  /** Whom a token in a message speaks for; its role is not looked at. */
  authenticate(token: string): Promise<Identity>
  readonly revocations: Revocations
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** Whom a token speaks for, in any role. Throws `unauthenticated`, `expired` or `overloaded`. */
    authenticate(token: string): Promise<Identity>
    /** Throws `expired` or `unauthenticated` where an identity that was good when it was read is so no longer. */
    confirm(identity: Identity): void
    /** What a request brings to prove that it comes of a user. Of a worker it rejects with `forbidden`. */
    proofOf(request: FastifyRequest): Proof | undefined
    /** The user of a token. Throws as `authenticate`, and `forbidden` for a worker, which claims jobs and does nothing else. */
    authenticateUser(token: string): Promise<Identity>
    /** Hook for routes that need a user: sets `request.identity`, or throws `forbidden`, `unauthenticated`, `expired` or `overloaded` before anything else of the request is read. */
    identify(request: FastifyRequest): Promise<void>
    /** The same for routes that need a worker. */
    identifyWorker(request: FastifyRequest): Promise<void>
  }
  interface FastifyRequest {
    /** Who sends the request, on routes with the hook `identify`. */
    identity: Identity
  }
}

type Check = (identity: Identity) => Identity

const asUser: Check = (identity) => {
  if (identity.role === 'worker') throw new RuncastError('forbidden', 'The token of a worker claims jobs, and does nothing else.')
  return identity
}
const asWorker: Check = (identity) => {
  if (identity.role !== 'worker') throw new RuncastError('forbidden', 'Only a worker may claim jobs.')
  return identity
}

/** What every route and session asks about identities, however they are proved. */
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
    const identifiedAs = (check: Check) => async (request: FastifyRequest) => {
      if (!app.mayConnectFrom(request)) throw new RuncastError('forbidden', 'Pages of this origin are not allowed.')
      try {
        const proof = proofOf(request)
        if (!proof) throw new RuncastError('unauthenticated')
        request.identity = check(await unlessRevoked(await proof.identify()))
      } catch (error) {
        app.countStranger(request)
        throw error
      }
    }
    app.decorate('identify', identifiedAs(asUser))
    app.decorate('identifyWorker', identifiedAs(asWorker))
  },
  { name: 'identify', dependencies: ['origins', 'rate-limit'] },
)
