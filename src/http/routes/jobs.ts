import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { JobId } from '../../protocol/job-id.js'
import { KINDS, type RunKindName } from '../../protocol/kinds.js'
import { JobTimeout } from '../../protocol/timeout.js'
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
  // What a configured solver takes it alone knows; the kind's own input is checked in full by the submit. The first that fits has its defaults filled in, so
  // the one without any comes first.
  const anyInput = takesSolver && jobs.solvers.length > 0 ? Type.Union([Type.Object({}, { additionalProperties: true }), input]) : input
  const resource = runDialectResource(kind)
  await app.register(jobResource, { resource, jobs, policy })

  const Submit = Type.Object(
    {
      [idField]: Type.Optional(JobId),
      job_timeout_s: JobTimeout,
      ...(takesSolver && { solver: Type.Enum(solvers, { default: solvers[0] }) }),
      input: anyInput,
    },
    { additionalProperties: false },
  )
  const schema = {
    tags: [path],
    summary: 'Enqueue. With Accept: text/event-stream state and live progress up to the final message',
    headers: IdempotencyHeaders,
    body: Submit,
  }
  app.post('', { schema, onRequest: app.identify }, async (request, reply) => {
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
