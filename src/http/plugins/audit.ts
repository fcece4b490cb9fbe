import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Identity } from '../../core/identity.js'

/** What a user or a worker has done. Each is one line of the log. */
export type AuditAction =
  | 'submit'
  | 'cancel'
  | 'retry'
  | 'pause'
  | 'resume'
  | 'update'
  | 'claim'
  | 'revoke'
  | 'undo_revocation'
  | 'disconnect'

/**
 * @internal For the hub's own Fastify instance. Kept out of the published declarations, where it would apply to every
 * server.
 */
declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Logs what the sender of this request has done, after it succeeded. `what`: the job or the revocation. `by`: the
     * user of a session, whom a message may have identified.
     */
    audit(action: AuditAction, what: Readonly<Record<string, unknown>>, by?: Identity): void
  }
}

const REQUEST_ID = 'x-request-id'
/** A UUID or a hex string, as proxies send it. A JWT has dots, so it never passes. */
const KNOWN_ID = /^[A-Za-z0-9-]{8,64}$/

/** The id of a request: its `X-Request-Id` if a proxy or a client has set one, else a new UUID. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers[REQUEST_ID]
  return typeof given === 'string' && KNOWN_ID.test(given) ? given : randomUUID()
}

/** Sends the id of each request to its client, and logs who did what, with this id. */
export const audit = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', (request, reply, done) => {
      void reply.header(REQUEST_ID, request.id)
      done()
    })
    app.decorateRequest('audit', function (this: FastifyRequest, action, what, by = this.identity) {
      const { sub: user, role } = by
      this.log.info({ audit: action, user, role, ...what }, 'audit')
    })
  },
  { name: 'audit' },
)
