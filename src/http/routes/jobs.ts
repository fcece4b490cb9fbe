import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type TSchema } from 'typebox'
import { KINDS, type RunKindName } from '../../core/kinds.js'
import { JobTimeout } from '../../core/timeout.js'
import { JobId } from '../../protocol/job-id.js'
import { bodyValidator, compileSchema } from '../plugins/validation.js'
import { enqueue } from './enqueue.js'
import { IdempotencyHeaders, keyOf } from './idempotency.js'
import { type JobResourceOptions, jobResource } from './job-resource.js'
import { runDialectResource } from './run-dialect-resource.js'

export interface JobRoutesOptions extends Omit<JobResourceOptions, 'resource'> {
  readonly kind: RunKindName
}

/** REST of one kind of job that a worker computes: submit, and what can be done with any job, in the run dialect. All of it derives from the kinds table. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { kind, jobs, policy }) => {
  const { idField, path, solvers: own, input } = KINDS[kind]
  const takesSolver = own.length > 0
  const solvers = [...own, ...jobs.solvers]
  const AnyObject = Type.Object({}, { additionalProperties: true })
  const takesAny = takesSolver && jobs.solvers.length > 0
  const resource = runDialectResource(kind)
  await app.register(jobResource, { resource, jobs, policy })

  const submitOf = (input: TSchema) =>
    Type.Object(
      {
        [idField]: Type.Optional(JobId),
        job_timeout_s: JobTimeout,
        ...(takesSolver && { solver: Type.Enum(solvers, { default: solvers[0] }) }),
        input,
      },
      { additionalProperties: false },
    )
  const schema = {
    tags: [path],
    summary: 'Enqueue. With Accept: text/event-stream state and live progress up to the final message',
    headers: IdempotencyHeaders,
    body: submitOf(takesAny ? Type.Union([AnyObject, input]) : input),
  }
  // What a configured solver takes it alone knows, with numbers as they were written; the kind's own input is checked in full by the submit.
  const checkBody = takesAny ? bodyValidator(submitOf(AnyObject), 'input') : bodyValidator(submitOf(input))
  const validatorCompiler: typeof compileSchema = (part) => (part.httpPart === 'body' ? checkBody : compileSchema(part))
  app.post('', { schema, validatorCompiler, onRequest: app.identify }, async (request, reply) => {
    const body = request.body as { [field: string]: unknown }
    const id = body[idField] as string | undefined // JobId, by the schema
    const timeoutS = body.job_timeout_s as number | undefined // JobTimeout, by the schema
    const solver = body.solver as string | undefined // one of the names, by the schema
    const who = {
      owner: request.identity.sub,
      kind,
      ...(solver !== undefined && { solver }),
      ...(id !== undefined && { id }),
      ...(timeoutS !== undefined && { timeoutS }),
      ...keyOf(request),
    }
    return enqueue({ app, request, reply }, resource, () => jobs.submit({ ...who, input: body.input }))
  })
}
