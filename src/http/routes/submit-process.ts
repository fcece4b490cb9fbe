import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Kind } from '../../core/kind.js'
import type { JobService } from '../../jobs/job-service.js'
import { JobId } from '../../protocol/job-id.js'
import { submitAnswers } from '../contract/answers.js'
import { examplesOf, withExamples } from '../contract/examples.js'
import { compileSchema } from '../plugins/validation.js'
import { enqueue } from './enqueue.js'
import { processes } from './processes.js'
import { fromBody, SubmitFields } from './submit-fields.js'
import { fromHeaders, SubmitHeaders } from './submit-headers.js'

export interface SubmitProcessOptions {
  readonly jobs: JobService
  /** Kinds that are submitted here, at least one. Each is its own `process_type`. */
  readonly kinds: readonly Kind[]
}

const Common = { process_id: Type.Optional(JobId), ...SubmitFields }
const closed = { additionalProperties: false }

/**
 * `POST /api/processes`: enqueues a job of a kind in the process dialect without a path of its own. Answers 202, or the
 * stream of the job to its end.
 */
export const submitProcess: FastifyPluginAsyncTypebox<SubmitProcessOptions> = async (app, { jobs, kinds }) => {
  app.addHook('onRequest', app.identify)
  // The schema that validates. Submit validates the input in full.
  const Body = Type.Object({ process_type: Type.Enum(kinds.map(({ name }) => name)), ...Common, input: Type.Unknown() }, closed)
  const documented = Type.Union(
    kinds.map(({ name, input }) => Type.Object({ process_type: Type.Literal(name), ...Common, input }, closed)),
    withExamples(kinds.flatMap(({ name: process_type, input }) => examplesOf(input).map((example) => ({ process_type, input: example })))),
  )
  const summary = 'Enqueue. With Accept: text/event-stream its messages up to the final one'
  // only for the documentation
  const body = documented as unknown as typeof Body
  const { accepted, stream } = processes.answers
  const response = submitAnswers(accepted, stream)
  const schema = { tags: [processes.tag], operationId: 'submitProcess', summary, headers: SubmitHeaders, body, response }
  app.post(
    processes.base,
    {
      schema,
      validatorCompiler: (part) => compileSchema(part.httpPart === 'body' ? { ...part, schema: Body } : part),
    },
    async (request, reply) => {
      const { given, rest } = fromBody(request.body)
      const { process_type: kind, process_id: id, input } = rest
      const who = { ...(id !== undefined && { id }), ...given, ...fromHeaders(request) }
      return enqueue({ app, request, reply }, processes, () => jobs.submit({ ...who, owner: request.identity.sub, kind, input }))
    },
  )
}
