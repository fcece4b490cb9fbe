import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import { RuncastError } from '../../protocol/codes.js'
import { wantsEventStream } from '../routes/negotiate.js'

/**
 * Rejects unknown query parameters on routes that write or return pages: an ignored filter would give a wrong result.
 * Sockets and streams ignore them, since client libraries add parameters of their own.
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

/** The query parameters of a route; null if unknown ones are ignored. Every route accepts `token`. */
function knownBy({ method, schema }: RouteOptions): string[] | null {
  const querystring = schema?.querystring as TSchema | undefined // all schemas of this server are TypeBox schemas
  const names = querystring && Type.IsObject(querystring) ? Object.keys(querystring.properties) : []
  const writes = [method].flat().some((name) => !['GET', 'HEAD', 'OPTIONS'].includes(name))
  return querystring || writes ? [...new Set([...names, 'token'])].toSorted() : null
}
