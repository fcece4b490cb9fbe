import t, { type Test } from 'tap'
import { JobFailure } from '../../src/worker/processor.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { frontFrom, measure, optimize, TWO_OBJECTIVES } from '../support/optimizations.js'
import { type Message, TestClient } from '../support/test-client.js'

const measured: RunProcessor = async (input) => ({ metrics_summary: measure(input) })

/** Workers that take several runs at once, so that their order of ending is not that of their submit. */
function start(t: Test, processor: RunProcessor = measured, env: Record<string, string> = {}): Promise<Harness> {
  return startHarness(t, { nodes: 2, processor, env: { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '4', ...env } })
}

const TOTAL = TWO_OBJECTIVES.population * TWO_OBJECTIVES.generations
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const numbersOf = (iterations: readonly Message[]) => iterations.map(({ iteration }) => iteration)
const pairsOf = (points: readonly Message[]) => points.map(({ metrics }) => [metrics.cost, metrics.gain])

t.test('[OPT-1] [OPT-10] every evaluation is an iteration, in order, live; pareto_updated agrees with them at every one', async (t) => {
  // Without the help of the sweeper.
  const h = await start(t, measured, { SWEEP_INTERVAL_MS: '600000' })
  const id = await optimize(h, 'opt-1')
  const client = await h.connect(id, { node: 1, path: 'optimizations' })
  const completed = await client.next('completed')
  const iterations = client.all('optimization_iteration')
  t.same(numbersOf(iterations), upTo(TOTAL))
  t.equal(new Set(iterations.map(({ run_id }) => run_id)).size, TOTAL, 'each a run of its own')
  for (const [i, { pareto_updated, generation, total }] of iterations.entries()) {
    const hasChanged = String(frontFrom(iterations.slice(0, i + 1))) !== String(frontFrom(iterations.slice(0, i)))
    t.equal(pareto_updated, hasChanged, `iteration ${i + 1}`)
    t.same([generation, total], [Math.floor(i / TWO_OBJECTIVES.population) + 1, TOTAL])
  }
  t.match(completed, { optimization_id: id, status: 'completed', percent: 100, stopped: 'done', evaluated: TOTAL, total: TOTAL })
  t.same(completed.best, (await h.call('GET', `/api/v2/optimizations/${id}/pareto`)).body.best)
  t.match(completed.metrics_summary, { evaluations: TOTAL, failed: 0, front_size: frontFrom(iterations).length })
  const pages: Message[] = []
  for (let after: number | null = 0; after !== null; ) {
    const { body } = await h.call('GET', `/api/v2/optimizations/${id}/iterations?limit=7&after=${after}`, { node: 1 })
    pages.push(...body.iterations)
    t.equal(body.iterations.length, Math.min(7, TOTAL - pages.length + body.iterations.length), 'full up to the end')
    after = body.next_after
  }
  t.equal((await h.call('GET', `/api/v2/optimizations/${id}/iterations?limit=2`)).body.iterations.length, 2)
  t.same(pages, iterations, 'page by page the same')
  t.same(h.faults, [])
})

t.test(
  '[OPT-2] [OPT-10] the front is told when it has changed, and stands in snapshot and REST; each generation has its hypervolume',
  async (t) => {
    const h = await start(t)
    const id = await optimize(h, 'opt-2')
    const client = await h.connect(id, { path: 'optimizations' })
    await client.next('completed')
    const fronts = client.all('pareto_front')
    const [first, last] = [fronts[0], fronts.at(-1)]
    t.ok(fronts.length >= 1 && fronts.every(({ size, points }) => size === points.length))
    for (const { iteration, points } of fronts) t.same(pairsOf(points), frontFrom(client.all('optimization_iteration').slice(0, iteration)))
    for (const [i, { timestamp }] of fronts.entries())
      if (i > 0 && i < fronts.length - 1) t.ok(Date.parse(timestamp) - Date.parse(fronts[i - 1].timestamp) >= 990, 'at most one a second')
    t.ok(first && last.points.some((point: Message) => JSON.stringify(point) === JSON.stringify(last.best)))
    const volumes = client.all('metric_update')
    t.equal(volumes.length, TWO_OBJECTIVES.generations)
    for (const [i, { metric_name, value }] of volumes.entries())
      t.ok(metric_name === 'hypervolume' && value >= (volumes[i - 1]?.value ?? 0), `${value}`)
    const late = await (await h.connect(id, { node: 1, path: 'optimizations' })).next()
    t.match(late, { type: 'status', status: 'completed', percent: 100, front: last.points, best: last.best })
    t.match(late.counters, { evaluated: TOTAL, total: TOTAL, generation: TWO_OBJECTIVES.generations, failed: 0 })
    const { body } = await h.call('GET', `/api/v2/optimizations/${id}/pareto`)
    t.match(body, { optimization_id: id, status: 'completed', iteration: TOTAL, size: last.size, points: last.points, best: last.best })
    t.match((await h.call('GET', '/api/v2/optimizations')).body.optimizations, [{ optimization_id: id, counters: late.counters }])
  },
)

t.test('[OPT-3] its runs are jobs of its owner, run beside a full quota, and are told on /ws like any other', async (t) => {
  const h = await start(t, measured, { MAX_ACTIVE_JOBS_PER_USER: '1', MAX_JOBS_PER_HOUR: '2' })
  const tab = new TestClient(`${h.nodes[1]?.ws}/ws?token=${h.token()}`)
  h.onTeardown(() => tab.terminate())
  await tab.next('process_list')
  const id = await optimize(h, 'opt-3')
  const after = await h.submit({ id: 'behind-it' })
  await tab.next('process_queued')
  const isOf = (process: string) => (message: Message) => message.process_id === process
  await eventually(() => tab.all('process_completed').some(isOf(after)))
  const told = tab.messages.filter(isOf(id))
  t.match(told.at(0), { type: 'process_queued', process_type: 'optimization' })
  t.match(told.filter(({ type }) => type === 'process_progress').at(-1)?.progress, { total: TOTAL, phase: 'evaluating' })
  t.match(told.at(-1), { type: 'process_completed', result: { evaluations: TOTAL }, progress: { current: TOTAL, total: TOTAL } })
  const runs = tab.all('process_completed').filter(({ process_type, process_id }) => process_type === 'solver' && process_id !== after)
  t.equal(new Set(runs.map(({ process_id }) => process_id)).size, TOTAL)
  const place = (type: string, process: string) =>
    tab.messages.findIndex((message) => message.type === type && message.process_id === process)
  t.ok(place('process_started', after) > place('process_completed', id), 'the place of the user is the optimization’s until it ends')
  t.match(
    await h.call('POST', '/api/v2/runs', { body: { input: HORN } }),
    { status: 429 },
    'two jobs were submitted, whatever they are made of',
  )
  t.same(h.faults, [])
})

t.test('[OPT-3] a run expires soon after it has become an iteration, and nothing misses it', async (t) => {
  const h = await start(t, measured, { EVALUATION_TTL_MS: '1000' })
  const id = await optimize(h, 'brief-runs')
  const client = await h.connect(id, { path: 'optimizations' })
  await client.next('completed')
  const runs = client.all('optimization_iteration').map(({ run_id }) => run_id)
  const statusOf = async (run: string) => (await h.call('GET', `/api/v2/runs/${run}`)).status
  t.equal(await statusOf(runs.at(-1)), 200, 'it can still be looked at for a while')
  await eventually(async () => (await Promise.all(runs.map(statusOf))).every((status) => status === 404))
  t.equal((await h.call('GET', `/api/v2/optimizations/${id}/iterations`)).body.iterations.length, TOTAL)
  t.match((await h.call('GET', `/api/v2/optimizations/${id}/pareto`)).body, { status: 'completed', best: { run_id: String } })
  t.same(h.faults, [])
})

t.test('[OPT-3] an optimization whose owner has no memory left waits, says so, and goes on', async (t) => {
  const h = await start(t, measured, { MAX_BYTES_PER_USER: '65536', EVALUATION_TTL_MS: '1000', SWEEP_INTERVAL_MS: '200' })
  const id = await optimize(h, 'frugal')
  const client = await h.connect(id, { path: 'optimizations' })
  await client.next('completed')
  const waits = client.all('progress').filter(({ message }) => message.startsWith('Waiting. The jobs of this user take '))
  t.ok(waits.length > 0 && waits.every(({ evaluated }) => evaluated < TOTAL), `${waits.length} waits`)
  t.same(numbersOf(client.all('optimization_iteration')), upTo(TOTAL))
  t.same(h.faults, [])
})

t.test('[OPT-4] what failed or said nothing is infeasible with a reason, and never 0; the others go on', async (t) => {
  const processor: RunProcessor = async (input, job) => {
    if (input.width_mm > 40) throw new JobFailure('solver_error', 'too wide for this solver')
    const { gain, ...rest } = measure(input)
    job.log('solved')
    return { metrics_summary: input.height_mm > 140 ? rest : { gain: gain ?? 0, ...rest } }
  }
  const h = await start(t, processor)
  const id = await optimize(h, 'opt-4')
  const client = await h.connect(id, { path: 'optimizations' })
  const completed = await client.next('completed')
  const iterations = client.all('optimization_iteration')
  t.same(numbersOf(iterations), upTo(TOTAL))
  const failed = iterations.filter(({ reason }) => reason)
  for (const { parameters, feasible, violation, reason, metrics, pareto_updated } of failed) {
    t.same([feasible, violation, pareto_updated], [false, null, false])
    const expected = parameters.width_mm > 40 ? 'the run failed: too wide for this solver' : 'metric gain is missing'
    t.equal(reason, expected)
    t.notOk('gain' in metrics)
  }
  t.ok(failed.length > 2)
  for (const { parameters, violation, feasible, reason } of iterations)
    if (!reason) t.equal(violation > 0, !feasible, `strain ${parameters.height_mm / 140}`)
  t.match(completed.metrics_summary, { evaluations: TOTAL, failed: failed.length })
  t.same(pairsOf(client.all('pareto_front').at(-1)?.points ?? []), frontFrom(iterations))
})

t.test('[OPT-2] [OPT-4] values as large as a number can be: there is no hypervolume then, and the search goes on', async (t) => {
  const h = await start(t, async (input) => ({
    metrics_summary: { cost: 1e200 * input.width_mm, gain: -1e200 / input.width_mm, strain: 0 },
  }))
  const client = await h.connect(await optimize(h, 'huge'), { path: 'optimizations' })
  t.match(await client.next('completed'), { metrics_summary: { evaluations: TOTAL, failed: 0 } })
  t.same(client.all('metric_update'), [])
  t.same(h.faults, [])
})

t.test('[OPT-8] the same seed gives the same front, in whatever order the runs end; another seed another one', async (t) => {
  const h = await start(t)
  const frontOf = async (id: string, change: object) => {
    const client = await h.connect(await optimize(h, id, { ...TWO_OBJECTIVES, ...change }), { path: 'optimizations' })
    await client.next('completed')
    return pairsOf(client.all('pareto_front').at(-1)?.points ?? [])
  }
  const front = await frontOf('a', { parallel: 1 })
  t.same(await frontOf('b', { parallel: 8 }), front)
  t.notSame(await frontOf('c', { seed: 8 }), front)
})

t.test('[OPT-9] what cannot be optimized is refused with the path of each fault', async (t) => {
  const h = await start(t)
  const [width, height] = TWO_OBJECTIVES.variables
  const cases: readonly (readonly [object, string])[] = [
    [{ variables: [{ ...width, min: 50, max: 10 }] }, '/variables/0/max'],
    [{ variables: [width, width] }, '/variables/1'],
    [{ variables: [{ ...width, max: 5000 }] }, '/variables/0/max'],
    [{ variables: [width, { ...height, name: 'no_such_field' }] }, '/variables/1/name'],
    [{ variables: [{ name: 'mesh.elements_x', min: 3.5, max: 8 }] }, '/variables/0/min'],
    [{ base: { ...HORN, material: 'wood' } }, '/base/material'],
    [{ constraints: [{ metric: 'strain', operator: 'within_percent', value: 1 }] }, '/constraints/0/tolerance_pct'],
    [{ constraints: [{ metric: 'strain', operator: 'within_percent', value: 0, tolerance_pct: 1 }] }, '/constraints/0/value'],
    [{ variables: [{ name: 'mesh.elements_x', min: 4, max: 8 }] }, '/variables/0/step'],
    [{ variables: [width, { ...height, name: 'width_mm.x' }] }, '/variables/1/name'],
    [{ variables: [{ ...width, min: -1.7e308, max: 1.7e308 }] }, '/variables/0/max'],
    [{ variables: [{ ...width, step: 1e-320 }] }, '/variables/0/step'],
    [{ base: { ...HORN, text: 'x'.repeat(40_000) }, population: 100, generations: 40 }, '/base'],
    [{ population: 200, generations: 100 }, '/generations'],
    [{ solver: 'no-such-solver' }, '/solver'],
  ]
  for (const [change, path] of cases) {
    const answer = await h.call('POST', '/api/v2/optimizations', { body: { ...TWO_OBJECTIVES, ...change } })
    t.match(
      answer,
      { status: 422, body: { error: 'invalid', detail: [{ path }] } },
      `${JSON.stringify(change)}: ${JSON.stringify(answer.body)}`,
    )
  }
  const misnamed = { ...TWO_OBJECTIVES, variables: [{ ...width, name: 'width' }] }
  t.match(await h.call('POST', '/api/v2/optimizations', { body: misnamed }), {
    body: { detail: [{ path: '/variables/0/name', expected: /^one of width_mm, .*, mesh\.elements_x, / }] },
  })
  t.match(await h.call('POST', '/api/jobs', { body: { kind: 'optimization', input: misnamed } }), {
    body: { detail: [{ path: '/input/variables/0/name' }] },
  })
  t.match(await h.call('POST', '/api/v2/optimizations/none/pause'), { status: 404 })
  const run = await h.submit({ id: 'a-run' })
  t.match(await h.call('POST', `/api/v2/optimizations/${run}/pause`), { status: 404 }, 'of another kind')
  const id = await optimize(h, 'opt-9')
  t.match(await h.call('POST', '/api/v2/optimizations', { body: { optimization_id: id, ...TWO_OBJECTIVES, seed: 9 } }), { status: 409 })
  await (await h.connect(id, { path: 'optimizations' })).next('completed')
  for (const act of ['pause', 'resume'])
    t.match(await h.call('POST', `/api/v2/optimizations/${id}/${act}`), { status: 409, body: { error: 'not_running' } })
})
