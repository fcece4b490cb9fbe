import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { startHarness } from '../helpers/harness.js'
import { frontFrom, measure, optimize } from '../helpers/optimizations.js'
import type { Message } from '../helpers/test-client.js'

const KINDS = { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '4' }

t.test('[OPT-1] every evaluation is an iteration, in order, live; the front agrees with them at every one; it ends', async (t) => {
  const h = await startHarness(t, { nodes: 2, env: KINDS, processor: async (input) => ({ metrics_summary: measure(input) }) })
  const id = await optimize(h, 'opt-1')
  const client = await h.connect(id, { node: 1, path: 'optimizations' })
  const completed = await client.next('completed')
  const iterations = client.all('optimization_iteration')
  t.same(
    iterations.map(({ iteration }) => iteration),
    Array.from({ length: 40 }, (_, i) => i + 1),
  )
  t.equal(new Set(iterations.map(({ run_id }) => run_id)).size, 40, 'each a run of its own')
  for (const [i, { pareto_updated }] of iterations.entries()) {
    const hasChanged = JSON.stringify(frontFrom(iterations.slice(0, i + 1))) !== JSON.stringify(frontFrom(iterations.slice(0, i)))
    t.equal(pareto_updated, hasChanged, `iteration ${i + 1}`)
  }
  const front = client.all('pareto_front').at(-1)
  const pairs = (points: Message[]) => points.map(({ metrics }) => [metrics.cost, metrics.gain])
  t.same(pairs(front?.points), frontFrom(iterations))
  t.match(completed, {
    optimization_id: id,
    status: 'completed',
    metrics_summary: { evaluations: 40, front_size: frontFrom(iterations).length },
  })
  t.match((await h.call('GET', `/api/v2/optimizations/${id}/pareto`)).body, {
    status: 'completed',
    size: front?.size,
    points: front?.points,
  })
  const page = await h.call('GET', `/api/v2/optimizations/${id}/iterations?limit=1000`, { node: 1 })
  t.same(page.body.iterations, iterations)
  await eventually(async () => (await h.nodes[0]?.hub.parts.broker.load(id)) === null)
  t.same(h.faults, [])
})
