import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import WebSocket from 'ws'
import { createClient } from '../../src/client/create-client.js'
import type { Curve } from '../../src/client/curves.js'
import type { WebSocketClass } from '../../src/client/hub-socket.js'
import { watchJob } from '../../src/client/watch-job.js'
import { watchProcesses } from '../../src/client/watch-processes.js'
import { kindOf } from '../../src/core/define-kind.js'
import { type Bucket, SeriesFold } from '../../src/core/series.js'
import { deferred } from '../../src/worker/deferred.js'
import { implement } from '../../src/worker/implement.js'
import { Claimant } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { SseClient } from '../support/sse-client.js'
import type { Message } from '../support/test-client.js'

/** Points as they leave with default settings. */
const TOGETHER = { METRIC_INTERVAL_MS: '100' }
const y = (i: number) => Math.sin(i / 100) * i

/** Reports a result for each 1,000 points. */
const talking = implement(
  kindOf({ name: 'talk', dialect: 'process', input: { type: 'object', properties: { points: { type: 'integer', default: 0 } } } }),
  {
    run: async ({ points }, job) => {
      for (let i = 0; i < points; i += 1) {
        job.metric('loss', y(i), { step: i })
        if (i % 1000 === 0) await job.result({ i })
      }
      return {}
    },
  },
)

t.test('[SERIES-6] a job that has ended shows the curve of 100,000 points in exact buckets', async (t) => {
  const count = 100_000
  const h = await startHarness(t, {
    env: { ...TOGETHER, WORKER_KINDS: 'run,talk' },
    work: [talking],
    processor: async (_input, job) => {
      for (let i = 0; i < count; i += 1) {
        job.metric('loss, "σ"', y(i), { unit: 'J', step: i })
        if (i % 1000 === 0) await job.metric('rate', i)
        if (i % 10_000 === 0) await job.flush()
      }
      return { metrics_summary: { n: count } }
    },
  })
  const id = await h.submit()
  await h.call('POST', '/api/processes', { body: { process_type: 'talk', process_id: 'talk', input: { points: count } } })
  for (const job of [id, 'talk'])
    await eventually(async () => (await h.call('GET', `/api/jobs/${job}`)).body.status === 'completed', { timeoutMs: 60_000 })
  const { body: talk } = await h.call('GET', '/api/processes/talk/events?limit=1000')
  t.same(
    talk.events.flatMap(({ type, result }: Message) => (type === 'process_result' ? result.i : [])),
    Array.from({ length: count / 1000 }, (_, i) => 1000 * i),
    'and its log has every result',
  )
  t.match((await h.call('GET', '/api/processes/talk/series?metric=loss')).body, { n: count })
  const { body: events } = await h.call('GET', `/api/v2/runs/${id}/events?limit=1000`)
  const updates = events.events.filter(
    ({ type, metric_name }: Record<string, unknown>) => type === 'metric_update' && metric_name !== 'rate',
  )
  t.ok(updates.length < 200, `${updates.length} messages`)
  t.match(updates.at(-1), { value: y(count - 1), step: count - 1, n: count, unit: 'J' })
  const whole = new SeriesFold()
  for (let i = 0; i < count; i += 1) whole.add(i, y(i))
  for (const base of ['/api/v2/runs', '/api/jobs', '/api/processes']) {
    const path = `${base}/${id}/series`
    const list = await h.call('GET', path)
    t.equal(list.status, 200)
    const { series, as_of_seq, epoch } = list.body
    t.equal(as_of_seq, events.seq)
    t.match(series, [
      { metric_name: 'loss, "σ"', unit: 'J', x: 'step', n: count, epoch },
      { metric_name: 'rate', unit: '', x: 'seconds', n: 100, k: 1, buckets: 100 },
    ])
    const { body: curve } = await h.call('GET', `${path}?metric=${encodeURIComponent('loss, "σ"')}`)
    whole.raise(curve.k)
    t.same(curve.buckets, whole.buckets())
    t.equal((await h.call('GET', path, { sub: 'bob' })).status, 404)
    t.equal((await h.call('GET', path, { token: null })).status, 401)
    t.equal((await h.call('GET', `${path}?metric=none`)).status, 404)
    t.match(await h.call('GET', `${path}?format=csv`), { status: 422, body: { detail: [{ path: '/querystring/metric' }] } })
  }
  const csv = await fetch(`${h.nodes[0]?.http}/api/jobs/${id}/series?metric=rate&format=csv`, {
    headers: { authorization: `Bearer ${h.token()}` },
  })
  t.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8')
  const [head, ...rows] = (await csv.text()).trimEnd().split('\n')
  t.equal(head, 'x_first,x_last,y_first,y_min,y_max,y_last,count')
  t.equal(rows.length, 100)
  const client = createClient({ url: h.nodes[0]?.http ?? '', token: h.token() })
  t.teardown(() => client.close())
  const job = client.job(id)
  t.same(
    (await job.series()).map(({ metric_name }) => metric_name),
    ['loss, "σ"', 'rate'],
  )
  const seconds = (await job.curve('rate')).buckets.map(([x]: Bucket) => x)
  t.same(
    seconds,
    seconds.toSorted((a, b) => a - b),
  )
  await t.rejects(job.curve('none'), { code: 'not_found' })
})

t.test('[SERIES-7] claims report points, with their step, in both dialects', async (t) => {
  const h = await startHarness(t, { processor: null, env: { WORKER_KINDS: 'run,benchmark' } })
  const run = new Claimant(h)
  const id = await h.submit()
  await run.claim()
  const point = { type: 'metric_update', metric_name: 'f', value: 1, unit: 'Hz' }
  t.match(
    await run.post([
      { ...point, step: 10 },
      { ...point, value: 2, step: 20 },
    ]),
    { status: 200, body: { seq: 4 } },
  )
  t.match(await run.post([{ ...point, value: 3, step: Number.MAX_VALUE }]), { status: 200 })
  t.match(await run.post([{ ...point, step: 'x' }]), { status: 422, body: { detail: [{ path: '/events/0/step' }] } })
  const { body } = await h.call('GET', `/api/v2/runs/${id}/events?after=2`)
  t.match(body.events, [
    { value: 1, step: 10, n: 1 },
    { value: 2, step: 20, n: 2 },
    { value: 3, n: 3 },
  ])
  t.match((await h.call('GET', `/api/v2/runs/${id}/series?metric=f`)).body, {
    x: 'step',
    n: 3,
    buckets: [
      [10, 10, 1, 1, 1, 1, 1],
      [20, 20, 2, 2, 2, 2, 1],
      [Number.MAX_VALUE, Number.MAX_VALUE, 3, 3, 3, 3, 1],
    ],
  })
  const submitted = await h.call('POST', '/api/benchmark', { body: { models: ['local/ngram'], context_tiers: [0], runs: 1 } })
  t.equal(submitted.status, 202, JSON.stringify(submitted.body))
  const benchmark = new Claimant(h, 'worker-2')
  await benchmark.claim({ kind: 'benchmark' })
  const before = await benchmark.post([])
  const metrics = [
    { type: 'process_metric', metric_name: 'ttft', value: 5, unit: 'ms' },
    { type: 'process_metric', metric_name: 'ttft', value: 4 },
  ]
  t.match(await benchmark.post(metrics), { status: 200, body: { seq: before.body.seq } }, 'they are no entries')
  const { body: curve } = await h.call('GET', `/api/processes/${benchmark.job.id}/series?metric=ttft`)
  t.match(curve, { x: 'seconds', n: 2, k: 1, unit: '' })
  t.same(
    curve.buckets.map(([, , first]: Bucket) => first),
    [5, 4],
  )
})

/** The curves as the store has them, by the name of their metric. */
async function storedCurves(h: Harness, id: string): Promise<Record<string, unknown>> {
  const { series } = (await h.call('GET', `/api/jobs/${id}/series`)).body
  const names: string[] = series.map(({ metric_name }: { metric_name: string }) => metric_name)
  const curves = names.map(async (name) => {
    const { n, k, unit, x, buckets } = (await h.call('GET', `/api/jobs/${id}/series?metric=${encodeURIComponent(name)}`)).body
    return [name, { n, k, unit, x, buckets }]
  })
  return Object.fromEntries(await Promise.all(curves))
}

function seen(curves: ReadonlyMap<string, Curve>): Record<string, unknown> {
  return Object.fromEntries([...curves].map(([name, { n, k, unit, x, buckets }]) => [name, { n, k, unit, x, buckets }]))
}

t.test('[SERIES-8] viewers from the start, late, slow and on another hub hold the stored curves', async (t) => {
  const begin = deferred()
  const h = await startHarness(t, {
    nodes: 2,
    env: { ...TOGETHER, METRIC_INTERVAL_MS: '20', MAX_SERIES_BYTES: '100000' },
    processor: async (_input, job) => {
      await begin.promise
      for (let i = 0; i < 60_000; i += 1) {
        job.metric('loss', y(i), { unit: 'J', step: i })
        if (i % 10 === 0) job.metric(`m${i % 7}`, i)
        if (i % 1000 === 0) await job.flush()
      }
      return { metrics_summary: {} }
    },
  })
  const id = await h.submit()
  const watch = (node: number, socket?: WebSocketClass) => {
    const url = `${h.nodes[node]?.ws}/api/v2/ws/runs/${id}`
    const watch = watchJob({ url, token: () => h.token(), series: true, WebSocket: socket ?? (WebSocket as unknown as WebSocketClass) })
    t.teardown(() => watch.close())
    return watch
  }
  const raw: WebSocket[] = []
  class Slow extends WebSocket {
    constructor(url: string) {
      super(url)
      raw.push(this)
    }
  }
  const early = [watch(0), watch(1), watch(0, Slow as unknown as WebSocketClass)]
  await Promise.all(early.map((watch) => watch.until(({ status }) => status === 'running')))
  begin.resolve()
  await early[0]?.until(() => (early[0]?.series.get('loss')?.n ?? 0) > 0)
  // It reads nothing for a while.
  raw[0]?.pause()
  await early[0]?.finished()
  const late = watch(1)
  raw[0]?.resume()
  const stored = await storedCurves(h, id)
  t.equal(Object.keys(stored).length, 8)
  for (const watch of [...early, late]) {
    await watch.until(() => watch.series.get('loss')?.n === 60_000)
    await eventually(() => isDeepStrictEqual(seen(watch.series), stored))
    t.pass('the same buckets')
  }
})

t.test('[SERIES-8] a request for the points after a position, on a socket; folds in a stream', async (t) => {
  const stop = deferred()
  const h = await startHarness(t, {
    env: TOGETHER,
    processor: async (_input, job) => {
      for (let i = 0; i < 5000; i += 1) job.metric('loss', y(i), { step: i })
      await job.flush()
      await stop.promise
      return { metrics_summary: {} }
    },
  })
  const id = await h.submit()
  await eventually(async () => (await h.call('GET', `/api/jobs/${id}/series`)).body.series[0]?.n === 5000)
  const client = await h.connect(id, { query: 'series=1' })
  const fold = await client.next('series')
  t.match(fold, { run_id: id, metric_name: 'loss', from: 0, n: 5000, unit: '', x: 'step' })
  t.equal(fold.seq, undefined, 'it takes no seq')
  const { buckets, k } = fold as unknown as { buckets: Bucket[]; k: number }
  client.send({ type: 'series', metric_name: 'loss', from: 4000 })
  const after = await client.next('series')
  t.match(after, { from: Math.floor(4000 / k) * k, n: 5000, k })
  t.same(after.buckets, buckets.slice(Math.floor(4000 / k)))
  const other = await h.connect(id)
  other.send({ type: 'series', metric_name: 'loss', from: 0 })
  t.match(await other.next('refused'), { request: 'series', code: 'invalid' })
  const stranger = await h.connect(id, { query: 'series=1', sub: 'bob' })
  t.match(await stranger.closed, { code: 4004 })
  for (const [path, type] of [
    [`/api/v2/runs/${id}/events?series=1`, 'series'],
    [`/api/processes/${id}/events?series=1`, 'process_series'],
  ] as const) {
    const stream = new SseClient(`${h.nodes[0]?.http}${path}`, { headers: { authorization: `Bearer ${h.token()}` } })
    t.teardown(() => stream.terminate())
    t.same((await stream.next(type)).buckets, buckets)
  }
  const processes = watchProcesses({
    url: `${h.nodes[0]?.ws}/ws`,
    token: () => h.token(),
    WebSocket: WebSocket as unknown as WebSocketClass,
  })
  t.teardown(() => processes.close())
  await processes.until((view) => view.has(id))
  t.equal(processes.series(id).size, 0, 'only what was asked for')
  processes.subscribe(id, { series: true })
  await processes.until(() => processes.series(id).get('loss')?.n === 5000)
  t.same(processes.series(id).get('loss')?.buckets, buckets)
  stop.resolve()
  await client.next('completed')
})
