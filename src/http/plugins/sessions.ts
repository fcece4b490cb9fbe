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
import type { HubCalls } from '../../storage/hub-calls.js'
import { REVOKED, type Revocations } from '../../storage/revocations.js'
import type { Via } from './counting.js'
import { OpenSessions } from './open-sessions.js'

/** Limits and checks of connections, over all nodes. */
export interface Guards {
  readonly admission: Admission
  readonly revocations: Revocations
  readonly upgrades: UpgradeLimit
}

export interface SessionsOptions {
  /** Id of this hub among all hubs. */
  readonly node: string
  readonly calls: HubCalls
  readonly guards: Guards
  readonly hub: Hub
  readonly policy: Policy
  readonly limits: SessionLimits
  /** Time for clients to move to another node when this one stops. */
  readonly drainMs: number
  /** Minimum time for which a stopping node keeps answering requests. A node that does not listen yet needs none. */
  readonly minDrainMs: number
  /** Whether another server passes requests to the node, which never listens itself. */
  readonly isMounted: boolean
}

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** Open sessions of this node. */
    sessions: OpenSessions
    /**
     * Drains the node: it accepts no more clients and moves its own to other nodes, see `drain`. Requests are still
     * answered. Resolves when no client is left.
     */
    drain(): Promise<void>
    /**
     * Rejects a connection by calling `report`, at once, or later if rejections of this proof (a token or an origin)
     * repeat. The returned function cancels it.
     */
    refuse(request: FastifyRequest, proof: string, report: () => void): () => void
    /**
     * Creates the session of a connection, with the credentials of the request. The caller calls `start`, and `forget`
     * when the connection is gone. `onIdentified` is called when the client is authenticated.
     */
    buildSession(
      via: Via,
      transport: Transport,
      request: FastifyRequest,
      scope: BuildScope,
      onIdentified?: () => void,
    ): { session: Session; forget: () => void }
  }
}

/** Creates and counts sessions of all transports. Open ones are closed with 1012 when the server closes. */
export const sessions = fp(
  async (app: FastifyInstance, options: SessionsOptions) => {
    const { node, calls, hub, policy, limits, drainMs, minDrainMs, isMounted, guards } = options
    const open = new OpenSessions(node)
    calls.listen((question) => open.answer(question))
    app.decorate('sessions', open)
    const { connections, opened } = app.tally
    const refusals = new RepeatedRefusals(systemClock)
    app.decorate('refuse', (request: FastifyRequest, proof: string, report: () => void) => {
      return refusals.refuse(app.visitorOf(request).ip, digestOf(proof), report)
    })
    app.decorate(
      'buildSession',
      (via: Via, transport: Transport, request: FastifyRequest, scope: BuildScope, onIdentified?: () => void) => {
        const proof = app.proofOf(request)
        const cancel: Policy['cancel'] = async (identity, id) => {
          const status = await policy.cancel(identity, id)
          request.audit('cancel', { job: id }, identity)
          return status
        }
        const session = new Session(transport, {
          hub,
          policy: { ...policy, cancel },
          clock: systemClock,
          limits,
          scope,
          publicPath: app.publicPath,
          ...(proof && { proof }),
          ...(onIdentified && { onIdentified }),
          refusals: {
            refuse: (proof, report) => app.refuse(request, proof, report),
            forget: (proof) => refusals.forget(app.visitorOf(request).ip, digestOf(proof)),
          },
          onFault: (error) => request.log.error(error),
        })
        open.add(session, via, app.visitorOf(request).ip)
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
      // Upgrades become ordinary requests. While it closes, Fastify answers upgrades with 503 itself and skips the hook
      // that ends their sockets.
      app.server.removeAllListeners('upgrade')
      refusals.release()
      // Slots are freed first, so that clients find slots on other nodes. An unavailable Redis does not delay the
      // drain.
      const minMs = isMounted || app.server.listening ? minDrainMs : 0
      drained ??= Promise.all([guards.admission.leaveAll(), drain(open, systemClock, drainMs, minMs)])
      await drained
    })
    app.addHook('preClose', async () => {
      await app.drain()
      for (const session of open) session.close('restart')
    })
  },
  { name: 'sessions', dependencies: ['identify', 'counting', 'audit'] },
)

/** Rejected tokens are remembered by digest: short, and no secret. */
function digestOf(proof: string): string {
  return createHash('sha256').update(proof).digest('base64url').slice(0, 22)
}
