import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Kind } from '../../core/kind.js'
import { JobTimeout } from '../../core/timeout.js'
import type { JobService } from '../../jobs/job-service.js'
import { JobId } from '../../protocol/job-id.js'
import { compileSchema } from '../plugins/validation.js'
import { enqueue } from './enqueue.js'
import { IdempotencyHeaders, keyOf } from './idempotency.js'
import { processes } from './processes.js'

/** What the route needs. */
export interface SubmitProcessOptions {
  readonly jobs: JobService
  /** The kinds that are submitted here: at least one. Each is its own `process_type`. */
  readonly kinds: readonly Kind[]
}

const Common = { process_id: Type.Optional(JobId), job_timeout_s: JobTimeout }
const closed = { additionalProperties: false }

/** `POST /api/processes`: enqueues a job of a kind in the process dialect that has no place of its own, and answers 202 with it, or streams it to its end. */
export const submitProcess: FastifyPluginAsyncTypebox<SubmitProcessOptions> = async (app, { jobs, kinds }) => {
  app.addHook('onRequest', app.identify)
  // What is taken; the input is its kind's, and is checked in full by the submit.
  const Body = Type.Object({ process_type: Type.Enum(kinds.map(({ name }) => name)), ...Common, input: Type.Unknown() }, closed)
  const documented = Type.Union(kinds.map(({ name, input }) => Type.Object({ process_type: Type.Literal(name), ...Common, input }, closed)))
  const summary = 'Enqueue. With Accept: text/event-stream its messages up to the final one'
  const schema = { tags: [processes.tag], summary, headers: IdempotencyHeaders, body: documented as unknown as typeof Body } // shown, not used
  app.post(
    processes.base,
    {
      schema,
      validatorCompiler: (part) => compileSchema(part.httpPart === 'body' ? { ...part, schema: Body } : part),
    },
    async (request, reply) => {
      const { process_type: kind, process_id: id, job_timeout_s: timeoutS, input } = request.body
      const given = { ...(id !== undefined && { id }), ...(timeoutS !== undefined && { timeoutS }), ...keyOf(request) }
      return enqueue({ app, request, reply }, processes, () => jobs.submit({ ...given, owner: request.identity.sub, kind, input }))
    },
  )
}
