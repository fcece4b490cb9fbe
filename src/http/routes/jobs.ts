import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type TSchema } from 'typebox'
import type { Kind } from '../../core/kind.js'
import { JobId } from '../../protocol/job-id.js'
import { answers, submitAnswers } from '../contract/answers.js'
import { bodyExamples } from '../contract/examples.js'
import { bodyValidator, compileSchema } from '../plugins/validation.js'
import { enqueue, rejectWithBodyPaths } from './enqueue.js'
import { JobPath, type JobResourceOptions, jobResource, viewOf } from './job-resource.js'
import { runDialectResource } from './run-dialect-resource.js'
import { fromBody, SubmitFields } from './submit-fields.js'
import { fromHeaders, SubmitHeaders } from './submit-headers.js'

export interface JobRoutesOptions extends Omit<JobResourceOptions, 'resource'> {
  /** A kind in the run dialect. */
  readonly kind: Kind
}

/**
 * REST routes for one kind in the run dialect: submit, the routes of every job, and pause and resume for kinds in
 * steps. All derive from its contract.
 */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { kind, jobs, policy, artifacts }) => {
  const { name, idField, solvers: own, input, submission } = kind
  const isFlat = submission?.isFlat === true
  const takesSolver = own.length > 0
  const solvers = [...own, ...jobs.solvers]
  const AnyObject = Type.Object({}, { additionalProperties: true })
  const takesAny = takesSolver && jobs.solvers.length > 0
  const resource = runDialectResource(kind)
  const { noun, accepted: Accepted, status: Status, stream } = resource.answers
  const tags = [resource.tag]
  await app.register(jobResource, { resource, jobs, policy, artifacts })

  const submitOf = (input: TSchema) =>
    Type.Object(
      {
        [idField]: Type.Optional(JobId),
        ...SubmitFields,
        ...(takesSolver && { solver: Type.Enum(solvers, { default: solvers[0] }) }),
        ...(isFlat ? kind.input.properties : { input }),
      },
      { additionalProperties: false, ...bodyExamples(kind.input, isFlat) },
    )
  const schema = {
    tags,
    operationId: `submit${noun.one}`,
    summary: 'Enqueue. With Accept: text/event-stream state and live progress up to the final message',
    headers: SubmitHeaders,
    body: submitOf(takesAny ? Type.Union([AnyObject, input]) : input),
    response: submitAnswers(Accepted, stream),
  }
  // Only a configured solver knows its own input, which keeps the text of its numbers. Submit validates the kind's
  // input in full.
  const checkBody = takesAny ? bodyValidator(submitOf(AnyObject), 'input') : bodyValidator(submitOf(input))
  const validatorCompiler: typeof compileSchema = (part) => (part.httpPart === 'body' ? checkBody : compileSchema(part))
  app.post('', { schema, validatorCompiler, onRequest: app.identify }, async (request, reply) => {
    const { given, rest: body } = fromBody(request.body as Readonly<Record<string, unknown>>)
    const { [idField]: id, ...rest } = body
    const solver = takesSolver ? rest.solver : undefined
    const who = {
      owner: request.identity.sub,
      kind: name,
      ...(solver !== undefined && { solver: solver as string }), // validated by the schema
      ...(id !== undefined && { id: id as string }), // JobId
      ...given,
      ...fromHeaders(request),
    }
    return enqueue({ app, request, reply }, resource, () =>
      isFlat ? jobs.submit({ ...who, input: rest }).catch(rejectWithBodyPaths) : jobs.submit({ ...who, input: rest.input }),
    )
  })

  if (!kind.inSteps) return
  for (const [path, to, about] of [
    ['pause', 'paused', 'Start no more child jobs until it is resumed; running ones finish'],
    ['resume', 'running', 'Resume'],
  ] as const) {
    const schema = {
      tags,
      operationId: `${path}${noun.one}`,
      summary: about,
      params: JobPath,
      response: answers({ 202: Status }, 'not_found', 'not_running'),
    }
    app.post(`/:id/${path}`, { schema, onRequest: app.identify }, async (request, reply) => {
      const { id } = request.params
      const status = await jobs.pause(name, id, viewOf(policy, request), to)
      request.audit(path, { job: id })
      return reply.code(202).send({ [idField]: id, status })
    })
  }
}
