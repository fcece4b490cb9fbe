import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { RuncastError } from '../../protocol/codes.js'
import { Nullable } from '../../protocol/json-schema.js'
import { UserId } from '../../protocol/user-id.js'
import { idOf, type Revocation, type Revocations, type StoredRevocation } from '../../storage/revocations.js'
import { answers } from '../contract/answers.js'

export interface RevocationRoutesOptions {
  readonly revocations: Revocations
  /** TTL of revocations without `expires_at`. */
  readonly keepMs: number
}

const Time = Type.String({ maxLength: 40, description: 'ISO 8601, with time zone' })
const Body = Type.Object(
  { jti: Type.Optional(UserId), sub: Type.Optional(UserId), issued_before: Type.Optional(Time), expires_at: Type.Optional(Time) },
  { additionalProperties: false, description: 'Either `jti`, or `sub` with or without `issued_before`.', examples: [{ sub: 'mallory' }] },
)
type Body = Type.Static<typeof Body>

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

const Page = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: 'cursor of the previous page' })),
  token: Type.Optional(Type.String()),
})
const Path = Type.Object({ id: Type.String({ description: '`jti:` and the id of a token, or `sub:` and the name of a user' }) })

const Fields = {
  id: Type.String(),
  jti: Type.Optional(UserId),
  sub: Type.Optional(UserId),
  issued_before: Type.Optional(Time),
  expires_at: Time,
}
const Revoked = Type.Object(Fields, { title: 'Revocation' })
const RevocationPage = Type.Object(
  {
    revocations: Type.Array(Type.Object({ ...Fields, revoked_at: Time }, { title: 'RevocationItem' })),
    cursor: Nullable(Type.String({ description: '`cursor` of the next page' })),
  },
  { title: 'RevocationPage' },
)

/**
 * Revocations, for admins. POST revokes one token by its `jti`, or all tokens of a user issued before a time; 202 means
 * that it is stored and on its way to all nodes. GET lists revocations in force. DELETE undoes one.
 */
export const revocationRoutes: FastifyPluginAsyncTypebox<RevocationRoutesOptions> = async (app, { revocations, keepMs }) => {
  app.addHook('onRequest', app.identify)
  app.addHook('onRequest', async ({ identity }) => {
    if (identity.role !== 'admin') throw new RuncastError('forbidden', 'Only an admin may revoke tokens.')
  })

  const tags = ['operations']
  const schema = {
    tags,
    operationId: 'revokeTokens',
    summary: 'Revoke a token, or all tokens of a user issued before a time',
    body: Body,
    response: answers({ 202: Revoked }),
  }
  app.post('', { schema }, async (request, reply) => {
    const revocation = revocationOf(request.body, Date.now(), keepMs)
    await revocations.revoke(revocation)
    request.audit('revoke', { revocation: idOf(revocation), until: new Date(revocation.until).toISOString() })
    return reply.code(202).send(shown({ id: idOf(revocation), before: 0, ...revocation }))
  })

  const list = {
    tags,
    operationId: 'listRevocations',
    summary: 'Revocations in force, newest first',
    querystring: Page,
    response: answers({ 200: RevocationPage }),
  }
  app.get('', { schema: list }, async ({ query: { limit, cursor } }) => {
    await revocations.ready()
    const all = revocations.list()
    const from = cursor === undefined ? 0 : all.findIndex((entry) => isBehind(entry, cursor))
    const page = from < 0 ? [] : all.slice(from, from + limit)
    const last = page.at(-1)
    return {
      revocations: page.map((entry) => ({ ...shown(entry), revoked_at: new Date(entry.revokedAt).toISOString() })),
      cursor: last && from + limit < all.length ? cursorOf(last) : null,
    }
  })

  const undo = {
    tags,
    operationId: 'undoRevocation',
    summary: 'Undo a revocation',
    params: Path,
    response: answers({ 204: Type.Null({ description: 'it is undone' }) }, 'not_found'),
  }
  app.delete('/:id', { schema: undo }, async (request, reply) => {
    const { id } = request.params
    if (!(await revocations.undo(id))) throw new RuncastError('not_found', 'There is no such revocation.')
    request.audit('undo_revocation', { revocation: id })
    return reply.code(204).send()
  })
}

function shown({ id, before, until }: Pick<StoredRevocation, 'id' | 'before' | 'until'>): Record<string, string> {
  const [kind, what] = [id.slice(0, 3), id.slice(4)]
  return {
    id,
    ...(kind === 'jti' ? { jti: what } : { sub: what, issued_before: new Date(before).toISOString() }),
    expires_at: new Date(until).toISOString(),
  }
}

function cursorOf({ revokedAt, id }: StoredRevocation): string {
  return Buffer.from(`${revokedAt} ${id}`).toString('base64url')
}

/** Whether an entry comes after the one of the cursor, newest first. */
function isBehind({ revokedAt, id }: StoredRevocation, cursor: string): boolean {
  const text = Buffer.from(cursor, 'base64url').toString()
  const at = Number(text.split(' ', 1)[0])
  if (!Number.isFinite(at) || !text.includes(' ')) throw faultAt('/cursor', 'the cursor of a page')
  return revokedAt < at || (revokedAt === at && id > text.slice(text.indexOf(' ') + 1))
}

function revocationOf({ jti, sub, issued_before, expires_at }: Body, now: number, keepMs: number): Revocation {
  if ((jti === undefined) === (sub === undefined)) throw new RuncastError('invalid', 'Exactly one of jti and sub is required.')
  if (jti !== undefined) {
    if (issued_before !== undefined) throw faultAt('/issued_before', 'to be absent: it is allowed only with sub')
    return { jti, until: expires_at === undefined ? now + keepMs : timeOf(expires_at, '/expires_at') }
  }
  const before = issued_before === undefined ? now : timeOf(issued_before, '/issued_before')
  const until = expires_at === undefined ? Math.max(now, before) + keepMs : timeOf(expires_at, '/expires_at')
  return { sub: sub ?? '', before, until }
}

function timeOf(text: string, path: string): number {
  const time = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time) || time < 0) throw faultAt(path, 'an ISO 8601 time since 1970, with time zone')
  return time
}

function faultAt(path: string, expected: string): RuncastError {
  return new RuncastError('invalid', { issues: [{ path, expected }] })
}
