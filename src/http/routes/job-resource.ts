import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import type { Dialect } from '../../core/dialect.js'
import type { Entry } from '../../core/entry.js'
import type { JobBrief, JobState } from '../../core/job-state.js'
import type { Policy } from '../../hub/guards/policy.js'
import { jobScope } from '../../hub/scopes/job-scope.js'
import type { ArtifactService } from '../../jobs/artifacts/artifact-service.js'
import type { JobService, View } from '../../jobs/job-service.js'
import { filterOf } from '../../jobs/list-query.js'
import { DEFAULT_LINES, logPageOf, MAX_LOG_PAGE_BYTES } from '../../jobs/log-page.js'
import type { WordsChanges } from '../../jobs/words.js'
import { RuncastError } from '../../protocol/codes.js'
import { STATUSES } from '../../protocol/status.js'
import { visibleText } from '../../protocol/visible-text.js'
import { WordsPatch } from '../../protocol/words.js'
import { answers, jsonOrStream, jsonOrText } from '../contract/answers.js'
import type { JobAnswers } from '../contract/job-answers.js'
import { artifactRoutes } from './artifacts.js'
import { varyByAccept, wantsEventStream, wantsText } from './negotiate.js'
import { resumeFrom, telemetryOf } from './position.js'
import { reserveStreamSlot, serveStream } from './stream.js'

/** How one part of the REST interface presents jobs: path, field names and dialect. */
export interface JobResource {
  /** Name of the kind; null for all kinds. */
  readonly kind: string | null
  /** Path of the jobs, without a trailing slash. */
  readonly base: string
  readonly tag: string
  /** Field for the id of a job. */
  readonly idField: string
  /** Field for the jobs of a list. */
  readonly listField: string
  readonly dialect: Dialect
  /** The last known state, with the final message. */
  stateOf(state: JobBrief): Readonly<Record<string, unknown>>
  /** The state in a list. */
  briefOf(state: JobBrief): Readonly<Record<string, unknown>>
  /** Identifies a job in the response to a submit: its id, and its kind unless the path implies it. */
  nameOf(state: JobState): Readonly<Record<string, unknown>>
  /** Path of the socket that follows a job. */
  socketOf(id: string): string
  /** Schemas of what these functions return. */
  readonly answers: JobAnswers
}

export interface JobResourceOptions {
  readonly resource: JobResource
  readonly jobs: JobService
  readonly policy: Policy
  readonly artifacts: ArtifactService
}

const DATE = '[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
const CLOCK = '([01][0-9]|2[0-3]):[0-5][0-9]'
/** `Date.parse` takes all that this matches. */
const TIME = `^${DATE}(T${CLOCK}(:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-]${CLOCK}))?$`

const Page = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}$', description: 'cursor of the previous page' })),
  status: Type.Optional(
    Type.Enum(['active', 'final', ...STATUSES], { description: 'jobs that have not ended, jobs that have, or jobs in one status' }),
  ),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'jobs with this tag' })),
  parent: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'children of this job; `none`: jobs that are no children' }),
  ),
  since: Type.Optional(Type.String({ pattern: TIME, description: 'submitted at this time (ISO 8601) or later' })),
  until: Type.Optional(Type.String({ pattern: TIME, description: 'submitted at this time (ISO 8601) or earlier' })),
  title: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'beginning of the title, in any case' })),
  owner: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'jobs of this user; for admins' })),
  token: Type.Optional(Type.String()),
})
/** For resources of all kinds. */
const pageOf = (kinds: readonly string[]) =>
  Type.Object({ ...Page.properties, kind: Type.Optional(Type.Enum([...kinds], { description: 'only jobs of this kind' })) })
const LogQuery = Type.Object({
  before: Type.Optional(
    Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'only lines with a lower number; default: the newest' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: DEFAULT_LINES }),
  token: Type.Optional(Type.String()),
})
const EventsPage = Type.Object({
  after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'seq of the last received entry' })),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  epoch: Type.Optional(Type.String({ description: 'for a stream: the epoch of `after`' })),
  last_event_id: Type.Optional(Type.String({ description: 'for a stream: id of the last event, like the header Last-Event-ID' })),
  log: Type.Optional(Type.Literal('1', { description: 'for a stream: also the lines of the log, as `log` messages' })),
  log_after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 1e15,
      description: 'for a stream: number of the last received line; 0: all lines; default: the last 200',
    }),
  ),
  log_epoch: Type.Optional(Type.String({ description: 'for a stream: the log that `log_after` counts in' })),
  series: Type.Optional(Type.Literal('1', { description: 'for a stream: also the curves of the metrics, as `series` messages' })),
  artifacts: Type.Optional(Type.Literal('1', { description: 'for a stream: also the files that it stores, as `artifact` messages' })),
  health: Type.Optional(Type.Literal('1', { description: 'for a stream: also whether it is stalled or stale, as `health` messages' })),
  token: Type.Optional(Type.String()),
})
/** The id of a job in a path. */
export const JobPath = Type.Object({ id: Type.String({ description: 'id of the job' }) })
const StreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ description: 'for a stream: id of the last received event; the stream continues after it' }),
  ),
})

/**
 * Routes of every job: list, state, missed entries, artifacts, cancel, retry. The resource decides which jobs and how
 * they are presented.
 */
export const jobResource: FastifyPluginAsyncTypebox<JobResourceOptions> = async (app, { resource, jobs, policy, artifacts }) => {
  const { kind, tag, idField, listField, dialect, stateOf, briefOf } = resource
  const { noun, stream, ...schemas } = resource.answers
  const tags = [tag]

  app.addHook('onRequest', app.identify)

  const querystring = kind === null ? pageOf(jobs.kinds.names) : Page
  const list = {
    tags,
    operationId: `list${noun.many}`,
    summary: 'Own jobs, newest first',
    querystring,
    response: answers({ 200: schemas.page }),
  }
  app.get('', { schema: list }, async (request) => {
    // undefined if the schema has no kind
    const query = request.query as Static<ReturnType<typeof pageOf>>
    const { limit, cursor, kind: asked, owner = request.identity.sub } = query
    if (!policy.mayView(request.identity, owner)) throw new RuncastError('forbidden', 'Only the role admin may list jobs of other users.')
    const { phase, filter } = filterOf(query, '/querystring')
    const page = await jobs.list(owner, asked ?? kind, limit, cursor, phase, filter)
    return { [listField]: page.jobs.map(briefOf), cursor: page.cursor ?? null }
  })

  const read = {
    tags,
    operationId: `get${noun.one}`,
    summary: 'State',
    params: JobPath,
    response: answers({ 200: schemas.state }, 'not_found'),
  }
  app.get('/:id', { schema: read }, async (request) => {
    return stateOf(await jobs.read(kind, request.params.id, viewOf(policy, request)))
  })

  const update = {
    tags,
    operationId: `update${noun.one}`,
    summary: 'Change title, tags or metadata, also after the end',
    params: JobPath,
    body: WordsPatch,
    response: answers({ 200: schemas.state }, 'not_found'),
  }
  app.patch('/:id', { schema: update }, async (request) => {
    const changes = request.body as WordsChanges // WordsPatch
    const state = await jobs.update(kind, request.params.id, viewOf(policy, request), changes)
    request.audit('update', { job: state.id })
    return stateOf(state)
  })

  const input = {
    tags,
    operationId: `get${noun.one}Input`,
    summary: 'Its input, with its defaults',
    params: JobPath,
    response: answers({ 200: schemas.input }, 'not_found'),
  }
  app.get('/:id/input', { schema: input }, async (request, reply) => {
    const { input } = await jobs.read(kind, request.params.id, viewOf(policy, request))
    // The stored text: an input of a configured solver has numbers that a double would change.
    return reply.type('application/json; charset=utf-8').send(input)
  })

  const events = {
    tags,
    operationId: `list${noun.one}Events`,
    summary: 'Persisted entries after a seq: the missed data. With Accept: text/event-stream state and live progress',
    params: JobPath,
    querystring: EventsPage,
    headers: StreamHeaders,
    response: answers({ 200: jsonOrStream('A page of entries, or the live stream.', schemas.eventsPage, stream) }, 'not_found', 'restart'),
  }
  app.get('/:id/events', { schema: events }, async (request, reply) => {
    varyByAccept(reply)
    if (wantsEventStream(request)) {
      reserveStreamSlot(app, request, reply)
      const { id } = await jobs.read(kind, request.params.id, viewOf(policy, request))
      const after = resumeFrom(request)
      const asked = { ...(after && { after }), telemetry: telemetryOf(asTexts(request.query)) }
      return serveStream(app, request, reply, jobScope({ id, kind, idField, dialect, ...asked }))
    }
    const { after = 0, limit } = request.query
    const view = viewOf(policy, request)
    const messages = new Map<Entry, unknown>()
    const isWanted = (entry: Entry, job: JobState) => {
      const message = dialect.message(entry, job)
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

  const ownerOf = async (request: FastifyRequest, id: string) => (await jobs.read(kind, id, viewOf(policy, request))).owner
  await app.register(artifactRoutes, { base: resource.base, tag, idField, noun, artifacts, ownerOf })

  const log = {
    tags,
    operationId: `get${noun.one}Log`,
    summary: 'Lines of the log of the current execution, the newest page first. With Accept: text/plain as text',
    params: JobPath,
    querystring: LogQuery,
    response: answers({ 200: jsonOrText('A page of lines, in order.', schemas.logPage) }, 'not_found'),
  }
  app.get('/:id/log', { schema: log }, async (request, reply) => {
    varyByAccept(reply)
    const { before, limit } = request.query
    const view = viewOf(policy, request)
    const { id, page } = await jobs.log(kind, request.params.id, view, { before, limit, maxBytes: MAX_LOG_PAGE_BYTES })
    const answer = logPageOf(page)
    if (!wantsText(request)) return { [idField]: id, ...answer }
    return reply.type('text/plain; charset=utf-8').send(answer.lines.map(({ text }) => `${visibleText(text)}\n`).join(''))
  })

  const cancel = {
    tags,
    operationId: `cancel${noun.one}`,
    summary: 'Cancel',
    params: JobPath,
    response: answers({ 202: schemas.status }, 'not_found', 'already_final'),
  }
  app.post('/:id/cancel', { schema: cancel }, async (request, reply) => {
    const { id } = await jobs.read(kind, request.params.id, viewOf(policy, request))
    const status = await policy.cancel(request.identity, id)
    request.audit('cancel', { job: id })
    return reply.code(202).send({ [idField]: id, status })
  })

  const retry = {
    tags,
    operationId: `retry${noun.one}`,
    summary: 'Run a failed or cancelled job again',
    params: JobPath,
    response: answers({ 202: schemas.accepted }, 'not_found', 'not_final', 'is_part', 'is_owned', 'quota'),
  }
  app.post('/:id/retry', { schema: retry }, async (request, reply) => {
    const view = viewOf(policy, request)
    const { id } = await jobs.read(kind, request.params.id, view)
    const state = await jobs.retry(id, view)
    request.audit('retry', { job: id, kind: state.kind.name, round: state.round })
    return reply.code(202).send(acceptedOf(resource, state, app.publicPath))
  })
}

/** The query of a stream as a socket gets it. */
function asTexts(query: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, typeof value === 'number' ? String(value) : value]))
}

/** The response to a submit. `publicPath` is the prefix of each path. */
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

/** Restricts jobs to those that the user of a request may view. */
export function viewOf(policy: Policy, { identity }: FastifyRequest): View {
  return (owner) => policy.mayView(identity, owner)
}
