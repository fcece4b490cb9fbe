import type { FastifyPluginAsync } from 'fastify'
import Type from 'typebox'
import type { StoreReason } from '../../protocol/codes.js'

/** What a node needs to serve: each answers whether it is there now. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<boolean>>>

/** Whether Redis takes the writes of this node now, and why not. */
export interface StoreReport {
  readonly writable: boolean
  readonly reason?: StoreReason
}

/** Each check by its name; one that fails is one that is not there. */
async function lookAt(checks: ReadinessChecks): Promise<(readonly [name: string, isThere: boolean])[]> {
  return Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await check().catch(() => false)] as const))
}

/** Whether a node can serve now. Never rejects. */
export async function areAllThere(checks: ReadinessChecks): Promise<boolean> {
  return (await lookAt(checks)).every(([, isThere]) => isThere)
}

const Live = Type.Object({ status: Type.Literal('live') })
const Ready = Type.Object({
  status: Type.Enum(['ready', 'not ready']),
  checks: Type.Record(Type.String(), Type.Boolean()),
  writable: Type.Boolean(),
  reason: Type.Optional(Type.String()),
})

/** `/livez`: the process answers. `/readyz`: it can serve, 200 or 503, with each check by name, and whether Redis takes its writes. Open to all: they tell nothing of any job. */
export const health: FastifyPluginAsync<{ checks: ReadinessChecks; store: () => Promise<StoreReport> }> = async (
  app,
  { checks, store },
) => {
  const open = { tags: ['operations'], security: [] }
  // Asked for each second by whoever runs it: no answer is worth a line, only a fault of our own.
  const logLevel = 'warn'
  const config = { isUnlimited: true }
  app.get('/livez', { logLevel, config, schema: { ...open, response: { 200: Live } } }, async () => ({ status: 'live' }))

  app.get('/readyz', { logLevel, config, schema: { ...open, response: { 200: Ready, 503: Ready } } }, async (_request, reply) => {
    const [results, report] = await Promise.all([lookAt(checks), store()])
    const isReady = results.every(([, isThere]) => isThere)
    const body = { status: isReady ? ('ready' as const) : ('not ready' as const), checks: Object.fromEntries(results), ...report }
    return reply.code(isReady ? 200 : 503).send(body)
  })
}
