import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { type Entry, messageOf } from '../../../core/entry.js'
import type { KindRoutes } from '../../../http/kind-routes.js'
import { viewOf } from '../../../http/routes/job-resource.js'
import { frontOf } from '../../optimization/events.js'
import { optimizationKind } from '../../optimization/kind.js'

const { name, path } = optimizationKind
const BASE = `/api/v2/${path}`
const Path = Type.Object({ id: Type.String() })
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

  const iterations = { tags, summary: 'Iterations in order, page by page', params: Path, querystring: IterationsPage }
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

  app.get(`${BASE}/:id/pareto`, { schema: { tags, summary: 'The current front', params: Path } }, async (request) => {
    const state = await jobs.read(name, request.params.id, viewOf(policy, request))
    const { iteration = 0, size = 0, points = [], best = null } = frontOf(state) ?? {}
    return { optimization_id: state.id, status: state.status, iteration, size, points, best }
  })
}
