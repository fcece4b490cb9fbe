import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Policy } from '../../hub/policy.js'
import type { JobService } from '../../jobs/job-service.js'
import { JobId } from '../../protocol/job-id.js'
import { type JobState, messageOf } from '../../protocol/job-state.js'
import { KINDS, type RunKindName } from '../../protocol/kinds.js'

export interface JobRoutesOptions {
  readonly kind: RunKindName
  readonly jobs: JobService
  readonly policy: Policy
}

const Page = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}$', description: 'from the page before' })),
  token: Type.Optional(Type.String()),
})
const EventsPage = Type.Object({
  after: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0, description: 'seq of the last entry that is known' }),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  token: Type.Optional(Type.String()),
})
const Path = Type.Object({ id: Type.String() })

/** REST of one kind of job: submit, list, state, missed entries, cancel. All of it derives from the kinds table. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { kind, jobs, policy }) => {
  const { idField, path, solvers, input, snapshot } = KINDS[kind]
  const tags = [path]
  const Submit = Type.Object(
    { [idField]: Type.Optional(JobId), solver: Type.Enum([...solvers], { default: solvers[0] }), input },
    { additionalProperties: false },
  )
  const links = (id: string) => ({
    self: `/api/v2/${path}/${id}`,
    events: `/api/v2/${path}/${id}/events`,
    cancel: `/api/v2/${path}/${id}/cancel`,
    socket: `/api/v2/ws/${path}/${id}`,
  })
  const accepted = (state: JobState) => ({
    [idField]: state.id,
    status: state.status,
    created_at: state.created_at,
    links: links(state.id),
  })
  const viewOf =
    ({ identity }: FastifyRequest) =>
    (owner: string) =>
      policy.mayView(identity, owner)
  /** The snapshot, less what only a socket says. */
  const stateOf = (state: JobState) => {
    const { type: _type, timestamp: _timestamp, ...fields } = snapshot(state)
    return { ...fields, ...finalOf(state) }
  }

  app.addHook('onRequest', app.identify)

  app.post('', { schema: { tags, summary: 'Enqueue', body: Submit } }, async (request, reply) => {
    const body = request.body as { [field: string]: unknown }
    const id = body[idField] as string | undefined // JobId, by the schema
    const state = await jobs.submit({ ...(id !== undefined && { id }), owner: request.identity.sub, kind, input: body.input })
    return reply.code(202).header('location', links(state.id).self).send(accepted(state))
  })

  app.get('', { schema: { tags, summary: 'Own jobs, newest first', querystring: Page } }, async (request) => {
    const { limit, cursor } = request.query
    const page = await jobs.list(request.identity.sub, kind, limit, cursor)
    return { [path]: page.jobs.map(stateOf), cursor: page.cursor ?? null }
  })

  app.get('/:id', { schema: { tags, summary: 'State', params: Path } }, async (request) => {
    return stateOf(await jobs.read(kind, request.params.id, viewOf(request)))
  })

  const eventsSchema = { tags, summary: 'Durable entries after a seq: the missed data', params: Path, querystring: EventsPage }
  app.get('/:id/events', { schema: eventsSchema }, async (request) => {
    const { after, limit } = request.query
    const { state, page } = await jobs.history(kind, request.params.id, viewOf(request), after, limit)
    const last = page.entries.at(-1)
    return {
      [idField]: state.id,
      epoch: state.epoch,
      seq: state.seq,
      oldest_seq: page.oldestSeq,
      truncated: page.truncated,
      events: page.entries.map(messageOf),
      next_after: page.entries.length === limit && last ? last.seq : null,
    }
  })

  app.post('/:id/cancel', { schema: { tags, summary: 'Cancel', params: Path } }, async (request, reply) => {
    const { id } = request.params
    return reply.code(202).send({ [idField]: id, status: await policy.cancel(request.identity, id) })
  })
}

/** What the final message says beyond the state: result or error. */
function finalOf(state: JobState): Record<string, unknown> {
  const entry = state.latest.get('final')
  return { result: entry ? messageOf(entry) : null }
}
