import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import { RuncastError } from '../../protocol/codes.js'
import { wantsEventStream } from '../routes/negotiate.js'

/**
 * Refuses parameters that a route does not know: of those that page or write, since a filter that is passed over gives a wrong answer. Sockets and streams pass over
 * them: addresses of those are made by libraries, which add some of their own.
 */
export const query = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRoute', (route) => {
      const known = knownBy(route)
      if (!known) return
      const check = async (request: FastifyRequest) => {
        if (request.method === 'GET' && wantsEventStream(request)) return
        const unknown = Object.keys(request.query as object).filter((name) => !known.includes(name))
        if (unknown.length === 0) return
        const expected = `to be absent: the parameters of this address are ${known.join(', ')}`
        const faults = unknown.map((name) => ({ path: `/querystring/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, expected }))
        throw new RuncastError('invalid', { issues: faults })
      }
      route.preValidation = [check, ...[route.preValidation ?? []].flat()]
    })
  },
  { name: 'query' },
)

/** The parameters of a route; null where any are passed over. Every route takes its token as one. */
function knownBy({ method, schema }: RouteOptions): string[] | null {
  const querystring = schema?.querystring as TSchema | undefined // as all schemas of this server
  const names = querystring && Type.IsObject(querystring) ? Object.keys(querystring.properties) : []
  const writes = [method].flat().some((name) => !['GET', 'HEAD', 'OPTIONS'].includes(name))
  return querystring || writes ? [...new Set([...names, 'token'])].toSorted() : null
}
