import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type TSchema } from 'typebox'
import type { Kinds } from '../../core/kind.js'
import { jobView, nativeDialect } from '../../core/native-dialect.js'
import type { ClaimService } from '../../jobs/claims/claim-service.js'
import { ownedJob } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { JobId } from '../../protocol/job-id.js'
import { answers, ownedAnswer, submitAnswers } from '../contract/answers.js'
import { examplesOf, withExamples } from '../contract/examples.js'
import { allJobsAnswers } from '../contract/job-answers.js'
import { bodyValidator, compileSchema } from '../plugins/validation.js'
import { disconnectSignal } from './claims.js'
import { enqueue } from './enqueue.js'
import { acceptedOf, JobPath, type JobResource, type JobResourceOptions, jobResource, viewOf } from './job-resource.js'
import { wantsEventStream } from './negotiate.js'
import { fromBody, type SubmitBody, SubmitFields } from './submit-fields.js'
import { fromHeaders, SubmitHeaders } from './submit-headers.js'

const BASE = '/api/jobs'

/** Jobs of all kinds, each in the dialect of its kind: `/api/jobs`. */
export const allJobs = (kinds: Kinds): JobResource => ({
  kind: null,
  base: BASE,
  tag: 'jobs',
  idField: 'id',
  listField: 'jobs',
  dialect: nativeDialect,
  stateOf: jobView,
  briefOf: jobView,
  nameOf: ({ id, kind }) => ({ id, kind: kind.name }),
  socketOf: (id) => `${BASE}/${id}/socket`,
  answers: allJobsAnswers(kinds),
})

export interface AllJobsOptions extends Omit<JobResourceOptions, 'resource'> {
  readonly claims: ClaimService
}

/** REST routes for jobs of all kinds: submit, pause, resume, and the routes of every job. */
export const allJobsRoutes: FastifyPluginAsyncTypebox<AllJobsOptions> = async (app, { jobs, policy, artifacts, claims }) => {
  const resource = allJobs(jobs.kinds)
  const claimable = jobs.kinds.claimable.map(({ name }) => name)
  const { accepted: Accepted, status: Status, stream } = resource.answers
  const { links } = Accepted.properties as { links: TSchema } // of every accepted job
  const tags = [resource.tag]
  await app.register(jobResource, { prefix: BASE, resource, jobs, policy, artifacts })
  app.addHook('onRequest', app.identify)

  const claim = Type.Optional(
    Type.Boolean({ description: 'true: the sender computes the job, and gets its lease. For kinds that can be claimed' }),
  )
  const submitOf = (kind: TSchema, input: TSchema) =>
    Type.Object(
      { kind, id: Type.Optional(JobId), solver: Type.Optional(Type.String()), claim, ...SubmitFields, input },
      { additionalProperties: false },
    )
  const schema = {
    tags,
    operationId: 'submitJob',
    summary: 'Enqueue a job of any kind, or compute it. With Accept: text/event-stream its messages up to the final one',
    headers: SubmitHeaders,
    body: Type.Union(
      jobs.kinds.all.map(({ name, input }) => submitOf(Type.Literal(name), input)),
      withExamples(jobs.kinds.all.flatMap(({ name: kind, input }) => examplesOf(input).map((example) => ({ kind, input: example })))),
    ),
    response: { ...submitAnswers(Accepted, stream, 'already_final', 'stale_writer'), ...ownedAnswer(ownedJob(claimable, links)) },
  }
  // Submit validates the input in full. Only a configured solver knows its own input, which keeps the text of its
  // numbers.
  const checkBody = bodyValidator(submitOf(Type.Enum([...jobs.kinds.names]), Type.Unknown()), 'input')
  const validatorCompiler: typeof compileSchema = (part) => (part.httpPart === 'body' ? checkBody : compileSchema(part))
  app.post(BASE, { schema, validatorCompiler }, async (request, reply) => {
    // validated by the schema
    const body = request.body as SubmitBody & {
      kind: string
      id?: string
      solver?: string
      claim?: boolean
      input: unknown
    }
    const { given, rest } = fromBody(body)
    const submission = { ...rest, ...given, ...fromHeaders(request), owner: request.identity.sub }
    if (body.claim !== true) return enqueue({ app, request, reply }, resource, () => jobs.submit(submission))
    if (wantsEventStream(request))
      throw new RuncastError('invalid', { issues: [{ path: '/claim', expected: 'false with Accept: text/event-stream' }] })
    const gone = disconnectSignal(reply)
    const state = await jobs.submit(submission)
    request.audit('submit', { job: state.id, kind: state.kind.name, round: state.round })
    const { identity } = request
    const leased = await claims.own(state.id, { by: identity, gone, confirm: () => app.confirm(identity) })
    request.audit('claim', { job: leased.id, kind: leased.kind, round: leased.round, attempt: leased.attempt })
    const { links } = acceptedOf(resource, state, app.publicPath)
    void reply.header('location', links.self)
    return reply.code(201).send({ ...leased, links })
  })

  for (const [path, to, summary] of [
    ['pause', 'paused', 'Start no more child jobs until it is resumed; running ones finish. For kinds in steps'],
    ['resume', 'running', 'Resume'],
  ] as const) {
    const schema = {
      tags,
      operationId: `${path}Job`,
      summary,
      params: JobPath,
      response: answers({ 202: Status }, 'not_found', 'not_running'),
    }
    app.post(`${BASE}/:id/${path}`, { schema }, async (request, reply) => {
      const { id } = request.params
      const status = await jobs.pause(null, id, viewOf(policy, request), to)
      request.audit(path, { job: id })
      return reply.code(202).send({ id, status })
    })
  }
}
