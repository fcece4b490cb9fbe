import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { Model } from '../../kinds/benchmark/model.js'

/** `GET /api/models`: what benchmarks may name, to any user. Nothing of the endpoints but their names, contexts and prices. */
export const modelsRoute: FastifyPluginAsyncTypebox<{ models: readonly Model[] }> = async (app, { models }) => {
  app.addHook('onRequest', app.identify)
  const response = { 200: Type.Object({ models: Type.Array(Model) }) }
  const schema = { tags: ['benchmark'], summary: 'Models that benchmarks may name', response }
  app.get('/api/models', { schema }, async () => ({ models: [...models] }))
}
