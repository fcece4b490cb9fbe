import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import type { Dialect } from '../../core/dialect.js'
import type { Entry } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import type { Kinds } from '../../core/kind.js'
import type { Policy } from '../../hub/guards/policy.js'
import { jobScope } from '../../hub/scopes/job-scope.js'
import type { JobService, View } from '../../jobs/job-service.js'
import { RuncastError } from '../../protocol/codes.js'
import { varyByAccept, wantsEventStream } from './negotiate.js'
import { resumeFrom } from './position.js'
import { serveStream, takePlace } from './stream.js'

/** Jobs as one part of the REST interface shows them: where they lie, what they are called, in which dialect they speak. */
export interface JobResource {
  /** The name of the kind that is shown; null for all. */
  readonly kind: string | null
  /** Where the jobs lie, without a slash at the end. */
  readonly base: string
  readonly tag: string
  /** Names a job in an answer. */
  readonly idField: string
  /** Names the jobs in a list. */
  readonly listField: string
  readonly dialect: Dialect
  /** The last-known state, with what the final message says. */
  stateOf(state: JobState): Readonly<Record<string, unknown>>
  /** The same in a list. */
  briefOf(state: JobState): Readonly<Record<string, unknown>>
  /** What a job is called where it is answered that it was enqueued: its id, and its kind where that is not plain from the address. */
  nameOf(state: JobState): Readonly<Record<string, unknown>>
  /** The socket over which a job is watched. */
  socketOf(id: string): string
}

export interface JobResourceOptions {
  readonly resource: JobResource
  readonly jobs: JobService
  readonly policy: Policy
}

const Page = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}$', description: 'from the page before' })),
  status: Type.Optional(Type.Enum(['active', 'final'], { description: 'those that have not ended, or those that have' })),
  token: Type.Optional(Type.String()),
})
/** Of jobs of every kind. */
const PageOfKinds = Type.Object({ ...Page.properties, kind: Type.Optional(Type.String({ description: 'of this kind alone' })) })
const EventsPage = Type.Object({
  after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'seq of the last entry that is known' })),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  epoch: Type.Optional(Type.String({ description: 'of a stream: the count that `after` belongs to' })),
  last_event_id: Type.Optional(Type.String({ description: 'of a stream: id of the last event, like the header Last-Event-ID' })),
  token: Type.Optional(Type.String()),
})
const Path = Type.Object({ id: Type.String() })

/** What can be done with jobs of any kind: list, state, missed entries, cancel, retry. Whose jobs, and how they look, is the resource's. */
export const jobResource: FastifyPluginAsyncTypebox<JobResourceOptions> = async (app, { resource, jobs, policy }) => {
  const { kind, tag, idField, listField, dialect, stateOf, briefOf } = resource
  const tags = [tag]

  app.addHook('onRequest', app.identify)

  const querystring = kind === null ? PageOfKinds : Page
  app.get('', { schema: { tags, summary: 'Own jobs, newest first', querystring } }, async (request) => {
    const { limit, cursor, status, kind: asked } = request.query as Static<typeof PageOfKinds> // no kind where its schema has none
    const page = await jobs.list(request.identity.sub, asked === undefined ? kind : mustBeKnown(jobs.kinds, asked), limit, cursor, status)
    return { [listField]: page.jobs.map(briefOf), cursor: page.cursor ?? null }
  })

  app.get('/:id', { schema: { tags, summary: 'State', params: Path } }, async (request) => {
    return stateOf(await jobs.read(kind, request.params.id, viewOf(policy, request)))
  })

  const summary = 'Persisted entries after a seq: the missed data. With Accept: text/event-stream state and live progress'
  app.get('/:id/events', { schema: { tags, summary, params: Path, querystring: EventsPage } }, async (request, reply) => {
    varyByAccept(reply)
    if (wantsEventStream(request)) {
      takePlace(app, request, reply)
      const { id } = await jobs.read(kind, request.params.id, viewOf(policy, request))
      const after = resumeFrom(request)
      return serveStream(app, request, reply, jobScope({ id, kind, idField, dialect, ...(after && { after }) }))
    }
    const { after = 0, limit } = request.query
    const view = viewOf(policy, request)
    const messages = new Map<Entry, unknown>()
    const isWanted = (entry: Entry, { kind }: JobState) => {
      const message = dialect.message(entry, kind)
      if (message) messages.set(entry, message)
      return message !== null
    }
    const { state, page, next } = await jobs.history(kind, request.params.id, view, { after, limit, isWanted })
    return {
      [idField]: state.id,
      epoch: state.epoch,
      seq: state.seq,
      oldest_seq: page.oldestSeq,
      truncated: page.truncated,
      events: page.entries.map((entry) => messages.get(entry)),
      next_after: next,
    }
  })

  app.post('/:id/cancel', { schema: { tags, summary: 'Cancel', params: Path } }, async (request, reply) => {
    const { id } = await jobs.read(kind, request.params.id, viewOf(policy, request))
    return reply.code(202).send({ [idField]: id, status: await policy.cancel(request.identity, id) })
  })

  app.post('/:id/retry', { schema: { tags, summary: 'Run again what failed or was cancelled', params: Path } }, async (request, reply) => {
    const view = viewOf(policy, request)
    const { id } = await jobs.read(kind, request.params.id, view)
    return reply.code(202).send(acceptedOf(resource, await jobs.retry(id, view), app.publicPath))
  })
}

/** What is said of a job that was enqueued. `publicPath` begins each path. */
export function acceptedOf({ base, nameOf, socketOf }: JobResource, state: JobState, publicPath: string): AcceptedJob {
  const { id, status, created_at } = state
  const self = `${publicPath}${base}/${id}`
  const links = { self, events: `${self}/events`, cancel: `${self}/cancel`, retry: `${self}/retry`, socket: `${publicPath}${socketOf(id)}` }
  return { ...nameOf(state), status, created_at, links }
}

export interface AcceptedJob {
  readonly [field: string]: unknown
  readonly links: {
    readonly self: string
    readonly events: string
    readonly cancel: string
    readonly retry: string
    readonly socket: string
  }
}

function mustBeKnown(kinds: Kinds, name: string): string {
  if (kinds.find(name)) return name
  throw new RuncastError('invalid', { issues: [{ path: '/querystring/kind', expected: `one of ${kinds.names.join(', ')}` }] })
}

/** Which jobs the user of a request may see. */
export function viewOf(policy: Policy, { identity }: FastifyRequest): View {
  return (owner) => policy.mayView(identity, owner)
}
