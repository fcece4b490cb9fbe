import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Entry } from '../../core/entry.js'
import { messageOf } from '../../core/job-state.js'
import { JobTimeout } from '../../core/timeout.js'
import { frontOf } from '../../kinds/optimization/events.js'
import { OptimizationInput } from '../../kinds/optimization/input.js'
import { JobId } from '../../protocol/job-id.js'
import { enqueue } from './enqueue.js'
import { IdempotencyHeaders, keyOf } from './idempotency.js'
import { type JobResourceOptions, jobResource, viewOf } from './job-resource.js'
import { runDialectResource } from './run-dialect-resource.js'

const KIND = 'optimization'
const Submit = Type.Object(
  { optimization_id: Type.Optional(JobId), job_timeout_s: JobTimeout, ...OptimizationInput.properties },
  { additionalProperties: false },
)
const Path = Type.Object({ id: Type.String() })
const IterationsPage = Type.Object({
  after: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0, description: '`next_after` of the page before' }),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  token: Type.Optional(Type.String()),
})

/** REST of optimizations: submit, pause and resume, what has been found, and what can be done with any job, in the run dialect. */
export const optimizationRoutes: FastifyPluginAsyncTypebox<Omit<JobResourceOptions, 'resource'>> = async (app, { jobs, policy }) => {
  const resource = runDialectResource(KIND)
  const tags = [resource.tag]
  await app.register(jobResource, { resource, jobs, policy })
  app.addHook('onRequest', app.identify)

  const summary = 'Enqueue. With Accept: text/event-stream state and live progress up to the final message'
  app.post('', { schema: { tags, summary, headers: IdempotencyHeaders, body: Submit } }, async (request, reply) => {
    const { optimization_id: id, job_timeout_s: timeoutS, ...input } = request.body
    const who = { owner: request.identity.sub, kind: KIND, ...keyOf(request) } as const
    const given = { ...(id !== undefined && { id }), ...(timeoutS !== undefined && { timeoutS }) }
    return enqueue({ app, request, reply }, resource, () => jobs.submit({ ...who, ...given, input }))
  })

  for (const [path, to, about] of [
    ['pause', 'paused', 'Submit no more runs until it is resumed; those that are computed go on to their end'],
    ['resume', 'running', 'Go on'],
  ] as const) {
    app.post(`/:id/${path}`, { schema: { tags, summary: about, params: Path } }, async (request, reply) => {
      const { id } = request.params
      return reply.code(202).send({ optimization_id: id, status: await jobs.pause(KIND, id, viewOf(policy, request), to) })
    })
  }

  const iterations = { tags, summary: 'Iterations in their order, page by page', params: Path, querystring: IterationsPage }
  app.get('/:id/iterations', { schema: iterations }, async (request) => {
    const { after, limit } = request.query
    const isWanted = ({ key }: Entry) => key === 'iteration'
    const view = viewOf(policy, request)
    const { state, page, next } = await jobs.history(KIND, request.params.id, view, { after, limit, isWanted })
    return {
      optimization_id: state.id,
      iterations: page.entries.map(messageOf),
      truncated: page.truncated,
      next_after: next,
    }
  })

  app.get('/:id/pareto', { schema: { tags, summary: 'The front as it was told last', params: Path } }, async (request) => {
    const state = await jobs.read(KIND, request.params.id, viewOf(policy, request))
    const { iteration = 0, size = 0, points = [], best = null } = frontOf(state) ?? {}
    return { optimization_id: state.id, status: state.status, iteration, size, points, best }
  })
}
