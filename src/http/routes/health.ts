import type { FastifyPluginAsync } from 'fastify'
import Type from 'typebox'
import { STORE_REASONS, type StoreReason } from '../../protocol/codes.js'

/** Dependencies of a node by name. Each resolves to whether it is available now. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<boolean>>>

/** Whether Redis accepts writes of this node, and the reason if not. */
export interface StoreReport {
  readonly writable: boolean
  readonly reason?: StoreReason
}

/** Runs the checks. A check that rejects counts as failed. */
async function runChecks(checks: ReadinessChecks): Promise<(readonly [name: string, passes: boolean])[]> {
  return Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await check().catch(() => false)] as const))
}

/** Whether all checks pass. Never rejects. */
export async function allPass(checks: ReadinessChecks): Promise<boolean> {
  return (await runChecks(checks)).every(([, passes]) => passes)
}

const Live = Type.Object({ status: Type.Literal('live') }, { title: 'Liveness' })
const Ready = Type.Object(
  {
    status: Type.Enum(['ready', 'not ready']),
    checks: Type.Record(Type.String(), Type.Boolean()),
    writable: Type.Boolean(),
    reason: Type.Optional(Type.Enum(Object.keys(STORE_REASONS) as StoreReason[])),
  },
  { title: 'Readiness' },
)

/**
 * `/livez`: the process responds. `/readyz`: it can serve, 200 or 503, with each check by name and whether Redis
 * accepts its writes. Both need no token and reveal nothing about jobs.
 */
export const health: FastifyPluginAsync<{ checks: ReadinessChecks; store: () => Promise<StoreReport> }> = async (
  app,
  { checks, store },
) => {
  const open = { tags: ['operations'], security: [] }
  // Probes are frequent, so only internal errors are logged.
  const logLevel = 'warn'
  const config = { isUnlimited: true }
  const live = { ...open, operationId: 'getLiveness', summary: 'Whether the process responds', response: { 200: Live } }
  app.get('/livez', { logLevel, config, schema: live }, async () => ({ status: 'live' }))

  const ready = { ...open, operationId: 'getReadiness', summary: 'Whether this hub can serve', response: { 200: Ready, 503: Ready } }
  app.get('/readyz', { logLevel, config, schema: ready }, async (_request, reply) => {
    const [results, report] = await Promise.all([runChecks(checks), store()])
    const isReady = results.every(([, passes]) => passes)
    const body = { status: isReady ? ('ready' as const) : ('not ready' as const), checks: Object.fromEntries(results), ...report }
    return reply.code(isReady ? 200 : 503).send(body)
  })
}
