import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { SessionDirectory } from '../../hub/session-directory.js'
import type { Overview } from '../../jobs/overview.js'
import { RuncastError } from '../../protocol/codes.js'
import { UserId } from '../../protocol/user-id.js'
import { Disconnected, JobsPage, Queues, SessionPage, Workers } from '../contract/admin-answers.js'
import { answers } from '../contract/answers.js'

export interface AdminRoutesOptions {
  readonly overview: Overview
  readonly sessions: SessionDirectory
}

const Limit = Type.Integer({ minimum: 1, maximum: 1000, default: 100 })
const Token = Type.Optional(Type.String())
const User = Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'only of this user' }))
/** A position in Redis, which has 64 bits. */
const POSITION = '[0-9]{1,20}'
/** A position among the jobs of one user, as in their own list. */
const OF_USER = '[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}'
const Cursor = Type.String({ pattern: `^(${POSITION}|${OF_USER})$`, description: 'cursor of the previous page, with the same `user`' })
const Reconnect = Type.Enum(['true', 'false'], { default: 'false', description: 'whether the clients connect again, maybe to another hub' })

/** What all users, hubs and workers do, for admins. Every answer is bounded. */
export const adminRoutes: FastifyPluginAsyncTypebox<AdminRoutesOptions> = async (app, { overview, sessions }) => {
  app.addHook('onRequest', app.identify)
  app.addHook('onRequest', async ({ identity }) => {
    if (identity.role !== 'admin') throw new RuncastError('forbidden', 'Only an admin may see what others do.')
  })
  const tags = ['operations']

  const listJobs = {
    tags,
    operationId: 'listAllJobs',
    summary: 'Jobs of all users that have not ended, in no order; of one user newest first',
    querystring: Type.Object({
      limit: Limit,
      user: User,
      cursor: Type.Optional(Cursor),
      token: Token,
    }),
    response: answers({ 200: JobsPage }),
  }
  app.get('/jobs', { schema: listJobs }, async ({ query: { limit, user, cursor } }) => {
    if (cursor !== undefined && !isCursor(cursor, user !== undefined))
      throw new RuncastError('invalid', { issues: [{ path: '/querystring/cursor', expected: 'the cursor of a page' }] })
    const { jobs, cursor: next } = await (user === undefined ? overview.jobs(limit, cursor) : overview.jobsOf(user, limit, cursor))
    const shown = jobs.map(({ id, kind, owner, solver, status, round, attempt, parent, created_at, started_at, worker }) => {
      return { id, kind, user: owner, solver, status, execution: round, attempt, parent, created_at, started_at, worker }
    })
    return { jobs: shown, cursor: next }
  })

  const listQueues = { tags, operationId: 'listQueues', summary: 'What waits and runs in each queue', response: answers({ 200: Queues }) }
  app.get('/queues', { schema: listQueues }, async () => {
    const { queues, users } = await overview.queues()
    const shown = queues.map(({ active: admitted, headWaitMs, ...counts }) => ({ ...counts, admitted, head_wait_s: headWaitMs / 1000 }))
    return { queues: shown, users }
  })

  const listWorkers = {
    tags,
    operationId: 'listWorkers',
    summary: 'Worker processes with the jobs that they run, and jobs that workers over HTTP hold',
    response: answers({ 200: Workers }),
  }
  app.get('/workers', { schema: listWorkers }, async () => {
    const { workers, claims } = await overview.workers()
    return {
      workers: workers.map(({ role: _, ...worker }) => worker),
      claims: claims.map(({ leftMs, ...claim }) => ({ ...claim, expires_in_s: leftMs / 1000 })),
    }
  })

  const listSessions = {
    tags,
    operationId: 'listSessions',
    summary: 'Sessions of clients on all hubs, newest first',
    querystring: Type.Object({ limit: Limit, user: User, token: Token }),
    response: answers({ 200: SessionPage }, 'rate_limited'),
  }
  app.get('/sessions', { schema: listSessions }, ({ query: { limit, user } }) => sessions.list(user, limit))

  const disconnectSession = {
    tags,
    operationId: 'disconnectSession',
    summary: 'End one session. Its client does not connect again by itself',
    params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
    querystring: Type.Object({ reconnect: Reconnect, token: Token }),
    response: answers({ 200: Disconnected }, 'not_found', 'rate_limited'),
  }
  app.delete('/sessions/:id', { schema: disconnectSession }, async (request) => {
    const { id } = request.params
    const reconnect = request.query.reconnect === 'true'
    const { disconnected, silent, sessions: ended } = await sessions.disconnect(id, reconnect)
    request.audit('disconnect', { session: id, of: ended[0]?.user, reconnect })
    return { disconnected, silent }
  })

  const disconnectUser = {
    tags,
    operationId: 'disconnectUser',
    summary: 'End all sessions of a user. Their clients do not connect again by themselves',
    querystring: Type.Object({ user: UserId, reconnect: Reconnect, token: Token }),
    response: answers({ 200: Disconnected }, 'rate_limited'),
  }
  app.delete('/sessions', { schema: disconnectUser }, async (request) => {
    const { user } = request.query
    const reconnect = request.query.reconnect === 'true'
    const { disconnected, silent } = await sessions.disconnectUser(user, reconnect)
    request.audit('disconnect', { of: user, sessions: disconnected, reconnect })
    return { disconnected, silent }
  })
}

/** Whether a text that the schema allows is a cursor of these jobs. */
function isCursor(text: string, isOfUser: boolean): boolean {
  if (text.includes(':')) return isOfUser
  return !isOfUser && BigInt(text) < 2n ** 64n
}
