import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Revocation, Revocations } from '../../hub/revocations.js'
import { Refusal } from '../../protocol/codes.js'

export interface RevocationRoutesOptions {
  readonly revocations: Revocations
  /** How long a revocation is kept where its end is not told. */
  readonly keepMs: number
}

const Id = Type.String({ minLength: 1, maxLength: 256 })
const Time = Type.String({ maxLength: 40, description: 'ISO 8601, with its zone' })
const Body = Type.Object(
  { jti: Type.Optional(Id), sub: Type.Optional(Id), issued_before: Type.Optional(Time), expires_at: Type.Optional(Time) },
  { additionalProperties: false },
)
type Body = Type.Static<typeof Body>

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

/** `POST /api/revocations`, for admins: one token by its `jti`, or all of a user's that were issued before a moment. 202: it is stored and on its way to all nodes. */
export const revocationRoutes: FastifyPluginAsyncTypebox<RevocationRoutesOptions> = async (app, { revocations, keepMs }) => {
  app.addHook('onRequest', app.identify)
  app.addHook('onRequest', async ({ identity }) => {
    if (identity.role !== 'admin') throw new Refusal('forbidden', 'Only an admin may revoke tokens.')
  })

  const schema = { tags: ['operations'], summary: 'Revoke a token, or all older ones of a user', body: Body }
  app.post('', { schema }, async (request, reply) => {
    const revocation = revocationOf(request.body, Date.now(), keepMs)
    await revocations.revoke(revocation)
    const { until, ...what } = revocation
    request.log.info({ ...what, until, by: request.identity.sub }, 'tokens revoked')
    return reply.code(202).send({
      ...('jti' in what ? { jti: what.jti } : { sub: what.sub, issued_before: new Date(what.before).toISOString() }),
      expires_at: new Date(until).toISOString(),
    })
  })
}

function revocationOf({ jti, sub, issued_before, expires_at }: Body, now: number, keepMs: number): Revocation {
  if ((jti === undefined) === (sub === undefined)) throw new Refusal('invalid', 'Either jti or sub says what is revoked.')
  if (jti !== undefined) {
    if (issued_before !== undefined) throw faultAt('/issued_before', 'to be absent: it goes with sub')
    return { jti, until: expires_at === undefined ? now + keepMs : timeOf(expires_at, '/expires_at') }
  }
  const before = issued_before === undefined ? now : timeOf(issued_before, '/issued_before')
  const until = expires_at === undefined ? Math.max(now, before) + keepMs : timeOf(expires_at, '/expires_at')
  return { sub: sub ?? '', before, until }
}

function timeOf(text: string, path: string): number {
  const time = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time) || time < 0) throw faultAt(path, 'a time since 1970 in ISO 8601, with its zone')
  return time
}

function faultAt(path: string, expected: string): Refusal {
  return new Refusal('invalid', undefined, [{ path, expected }])
}
