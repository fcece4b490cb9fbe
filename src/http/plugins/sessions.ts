import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock } from '../../core/clock.js'
import { drain } from '../../hub/drain.js'
import type { Policy } from '../../hub/guards/policy.js'
import { RepeatedRefusals } from '../../hub/guards/repeated-refusals.js'
import type { UpgradeLimit } from '../../hub/guards/upgrade-limit.js'
import type { Hub } from '../../hub/hub.js'
import type { BuildScope } from '../../hub/scopes/scope.js'
import { Session, type SessionLimits } from '../../hub/session.js'
import type { Transport } from '../../hub/transport.js'
import type { Admission } from '../../storage/admission.js'
import { REVOKED, type Revocations } from '../../storage/revocations.js'
import type { Via } from './counting.js'

/** What decides, over all nodes, who comes in and who may stay. */
export interface Guards {
  readonly admission: Admission
  readonly revocations: Revocations
  readonly upgrades: UpgradeLimit
}

export interface SessionsOptions {
  readonly guards: Guards
  readonly hub: Hub
  readonly policy: Policy
  readonly limits: SessionLimits
  /** How long clients may take to move when the node stops. */
  readonly drainMs: number
  /** How long it is there for requests at least. */
  readonly drainLeastMs: number
}

/** @internal Of our own instance: not in the declarations, where it would hold for the servers of others. */
declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions of this node. */
    sessions: ReadonlySet<Session>
    /** Empties the node: takes nobody any more, and moves its clients to others, see `drain`. Requests are answered meanwhile. Resolves when nobody is left. */
    drain(): Promise<void>
    /** Refuses a connection to whoever has this proof, a token or an origin: at once, or later where that repeats. The function that it returns calls that off. */
    refuse(request: FastifyRequest, proof: string, tell: () => void): () => void
    /** Makes the session of a connection, with what the request proves itself with. Whoever owns the connection calls `start`, and `forget` when it is gone. `onIdentified`: its client has proved who it is. */
    buildSession(
      via: Via,
      transport: Transport,
      request: FastifyRequest,
      scope: BuildScope,
      onIdentified?: () => void,
    ): { session: Session; forget: () => void }
  }
}

/** Sessions, whatever their transport. Those that are open when the server closes end with 1012. */
export const sessions = fp(
  async (app: FastifyInstance, { hub, policy, limits, drainMs, drainLeastMs, guards }: SessionsOptions) => {
    const open = new Set<Session>()
    app.decorate('sessions', open)
    const { connections, opened } = app.tally
    const refusals = new RepeatedRefusals(systemClock)
    app.decorate('refuse', (request: FastifyRequest, proof: string, tell: () => void) => {
      return refusals.refuse(app.visitorOf(request).ip, digestOf(proof), tell)
    })
    app.decorate(
      'buildSession',
      (via: Via, transport: Transport, request: FastifyRequest, scope: BuildScope, onIdentified?: () => void) => {
        const proof = app.proofOf(request)
        const session = new Session(transport, {
          hub,
          policy,
          clock: systemClock,
          limits,
          scope,
          ...(proof && { proof }),
          ...(onIdentified && { onIdentified }),
          refusals: {
            refuse: (proof, tell) => app.refuse(request, proof, tell),
            forget: (proof) => refusals.forget(app.visitorOf(request).ip, digestOf(proof)),
          },
          onFault: (error) => request.log.error(error),
        })
        open.add(session)
        opened[via] += 1
        connections[via] += 1
        const forget = () => {
          session.ended()
          if (open.delete(session)) connections[via] -= 1
        }
        return { session, forget }
      },
    )
    guards.revocations.listen(() => {
      for (const session of open) {
        if (session.identity && guards.revocations.isRevoked(session.identity)) session.close('unauthenticated', REVOKED)
      }
    })
    let drained: Promise<unknown> | undefined
    app.decorate('drain', async () => {
      guards.upgrades.drain()
      // From here on an upgrade is an ordinary request. To one that comes while it closes Fastify answers 503 itself, without the hook that ends its socket.
      app.server.removeAllListeners('upgrade')
      refusals.release()
      // The shares go back first, so that the clients find places on the nodes that they move to; a Redis that is away delays nobody.
      drained ??= Promise.all([guards.admission.leaveAll(), drain(open, systemClock, drainMs, drainLeastMs)])
      await drained
    })
    app.addHook('preClose', async () => {
      await app.drain()
      for (const session of open) session.close('restart')
    })
  },
  { name: 'sessions', dependencies: ['identify', 'counting'] },
)

/** What is remembered of a token: short, and no secret. */
function digestOf(proof: string): string {
  return createHash('sha256').update(proof).digest('base64url').slice(0, 22)
}
