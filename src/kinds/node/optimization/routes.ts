import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { type Entry, messageOf } from '../../../core/entry.js'
import { wireMessages } from '../../../core/wire-messages.js'
import { answers } from '../../../http/contract/answers.js'
import type { KindRoutes } from '../../../http/kind-routes.js'
import { viewOf } from '../../../http/routes/job-resource.js'
import { JobId } from '../../../protocol/job-id.js'
import { Nullable } from '../../../protocol/json-schema.js'
import { JobStatus } from '../../../protocol/life-fields.js'
import { frontOf } from '../../optimization/events.js'
import { optimizationKind } from '../../optimization/kind.js'
import { OPTIMIZATION_MESSAGES } from '../../optimization/messages.js'

const { name, path } = optimizationKind
const BASE = `/api/v2/${path}`
const Path = Type.Object({ id: Type.String({ description: 'id of the optimization' }) })
const { optimization_iteration: Iteration = OPTIMIZATION_MESSAGES.optimization_iteration } = wireMessages(optimizationKind)
const { best, points, size } = OPTIMIZATION_MESSAGES.pareto_front.properties
const IterationPage = Type.Object(
  {
    optimization_id: JobId,
    iterations: Type.Array(Iteration),
    truncated: Type.Boolean({ description: 'iterations after `after` are gone' }),
    next_after: Nullable(Type.Integer({ minimum: 1, description: '`after` of the next page; null: this is the last one' })),
  },
  { title: 'IterationPage' },
)
const Front = Type.Object(
  {
    optimization_id: JobId,
    status: JobStatus,
    iteration: Type.Integer({ minimum: 0, description: 'the last one when the front was reported; 0: none yet' }),
    ...{ size, points, best },
  },
  { title: 'OptimizationFront' },
)

const IterationsPage = Type.Object({
  after: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0, description: '`next_after` of the previous page' }),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  token: Type.Optional(Type.String()),
})

/** `GET …/:id/iterations`: all evaluated points, page by page. `GET …/:id/pareto`: the current front. */
export const optimizationRoutes: KindRoutes = async (server, { jobs, policy }) => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const tags = ['optimizations']
  app.addHook('onRequest', app.identify)

  const iterations = {
    tags,
    operationId: 'listOptimizationIterations',
    summary: 'Iterations in order, page by page',
    params: Path,
    querystring: IterationsPage,
    response: answers({ 200: IterationPage }, 'not_found'),
  }
  app.get(`${BASE}/:id/iterations`, { schema: iterations }, async (request) => {
    const { after, limit } = request.query
    const isWanted = ({ key }: Entry) => key === 'iteration'
    const view = viewOf(policy, request)
    const { state, page, next } = await jobs.history(name, request.params.id, view, { after, limit, isWanted })
    return {
      optimization_id: state.id,
      iterations: page.entries.map(messageOf),
      truncated: page.truncated,
      next_after: next,
    }
  })

  const pareto = {
    tags,
    operationId: 'getOptimizationFront',
    summary: 'The current front',
    params: Path,
    response: answers({ 200: Front }, 'not_found'),
  }
  app.get(`${BASE}/:id/pareto`, { schema: pareto }, async (request) => {
    const state = await jobs.read(name, request.params.id, viewOf(policy, request))
    const { iteration = 0, size = 0, points = [], best = null } = frontOf(state) ?? {}
    return { optimization_id: state.id, status: state.status, iteration, size, points, best }
  })
}
