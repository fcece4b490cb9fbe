import { once } from 'node:events'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { buildWorkerNode } from '../../src/app/worker-node.js'
import { BenchmarkResult, BenchmarkSummary } from '../../src/kinds/benchmark/result.js'
import { PROCESS_MESSAGES } from '../../src/protocol/process-messages.js'
import { distributionOf } from '../../workers/benchmark/statistics.js'
import { BUILT_IN_WORK } from '../../workers/built-in-work.js'
import { startBenchHarness } from '../support/bench-harness.js'
import { eventually } from '../support/eventually.js'
import { closeStream, deltaOf, openStream, refusing, startEndpoint, steady, writeEvent } from '../support/scripted-endpoint.js'
import { type Message, TestClient } from '../support/test-client.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const isResult = Compile(BenchmarkResult)
const isSummary = Compile(BenchmarkSummary)

/** A provider with these models, as the providers file has it. */
function providerAt(baseUrl: string, name: string, models: readonly string[] = ['m'], more: object = {}): object {
  return { name, base_url: baseUrl, models: models.map((model) => ({ name: model, context_window: 100_000, ...more })) }
}

const resultsOf = (messages: readonly Message[]): Message[] => messages.map(({ result }) => result)

t.test(
  '[BENCH-8] [BENCH-11] local/ngram with nothing configured: progress, a result per request, a summary that is made of them',
  async (t) => {
    const harness = await startBenchHarness(t)
    const job = await harness.bench({ models: ['local/ngram'] })
    const final = await job.final()
    t.match(final, { type: 'process_completed', process_type: 'benchmark', progress: { current: 9, total: 9, model: 'local/ngram' } })
    t.same(
      job.messages.filter(({ type }) => !['process_progress', 'process_result'].includes(type)).map(({ type }) => type),
      ['process_queued', 'process_started', 'process_completed'],
    )
    for (const message of job.messages) {
      const { seq: _seq, attempt: _attempt, ...rest } = message
      t.ok(Compile(PROCESS_MESSAGES[message.type as keyof typeof PROCESS_MESSAGES]).Check(rest), message.type)
    }
    const bars = job.of('process_progress').map(({ progress }) => progress)
    t.ok(bars.length > 0)
    for (const [i, { current, total, model, detail, phase }] of bars.entries()) {
      t.equal(total, 9, 'the total is fixed')
      t.ok(current >= (bars[i - 1]?.current ?? 0), 'current never falls')
      t.equal(model, 'local/ngram')
      t.match(detail, /^(Run [1-3]\/3|Warm-up 1\/1), Context (0|1K|5K)$/)
      t.match(phase, /^(warming up|measuring)$/)
    }
    const results = resultsOf(job.of('process_result'))
    t.same(
      results.map(({ context_tier, run }) => [context_tier, run]),
      [0, 1000, 5000].flatMap((tier) => [1, 2, 3].map((run) => [tier, run])),
    )
    for (const result of results) {
      t.ok(isResult.Check(result))
      t.match(result, { model: 'local/ngram', status: 'ok', output_tokens: 128, is_estimated: false, finish_reason: 'length' })
      t.ok(result.ttft_ms > 0 && result.e2e_ms >= result.ttft_ms)
    }
    const { result: summary } = final
    t.ok(isSummary.Check(summary), JSON.stringify([...isSummary.Errors(summary)]))
    t.match(summary, { total: 9, ok: 9, failed: 0, skipped: 0, output_tokens: 9 * 128 })
    for (const cell of summary.cells) {
      const own = results.filter(({ context_tier }) => context_tier === cell.context_tier)
      t.same(cell.ttft_ms, distributionOf(own.map(({ ttft_ms }) => ttft_ms)))
      t.same(cell.tpot_ms, distributionOf(own.map(({ tpot_ms }) => tpot_ms)))
      t.equal(cell.inter_chunk_ms.n, 3 * 127)
    }
    const { jobs } = harness.nodes[0]?.hub ?? {}
    const history = await jobs?.history('benchmark', job.id, () => true, { after: 0, limit: 1000 })
    const stored = history?.page.entries.map((entry) => JSON.parse(entry.body.toString()))
    t.same(resultsOf(stored?.filter(({ type }) => type === 'process_result') ?? []), results, 'the log has the same results')
    t.same(stored?.at(-1), final)
    t.same(harness.faults, [])
  },
)

t.test(
  '[BENCH-3] models of a provider one after the other, providers side by side; no two prompts begin alike; warm-ups do not count',
  async (t) => {
    const script = steady({ tokens: 3, firstMs: 30, everyMs: 5 })
    const [a, b] = [await startEndpoint(t, script), await startEndpoint(t, script)]
    const harness = await startBenchHarness(t, { providers: [providerAt(a.baseUrl, 'a', ['x', 'y']), providerAt(b.baseUrl, 'b')] })
    const job = await harness.bench({ models: ['a/x', 'b/m', 'a/y'], runs: 2, context_tiers: [0, 500], warmup: 2 })
    t.match(await job.final(), { type: 'process_completed', result: { total: 12, ok: 12 } })
    t.same(
      a.served.map(({ body }) => body.model),
      [...Array(6).fill('x'), ...Array(6).fill('y')],
      'two warm-ups and four measured ones each',
    )
    t.equal(b.served.length, 6)
    const spans = (endpoint: typeof a) => endpoint.served.map(({ receivedAt, wroteAt }) => ({ from: receivedAt, to: wroteAt.at(-1) ?? 0 }))
    const [ownA, ownB] = [spans(a), spans(b)]
    for (const [i, { from }] of ownA.entries()) if (i > 0) t.ok(from >= (ownA[i - 1]?.to ?? 0), 'one at a time')
    t.ok(
      ownA.some((one) => ownB.some((other) => one.from < other.to && other.from < one.to)),
      'both at a time',
    )
    const prompts = [...a.served, ...b.served].map(({ body }) => body.messages[0].content.slice(0, 26))
    t.equal(new Set(prompts).size, prompts.length)
  },
)

t.test(
  '[BENCH-2] a tier that does not fit is told as skipped and does not count; where none fits the benchmark is not valid',
  async (t) => {
    const endpoint = await startEndpoint(t, steady({ tokens: 2, firstMs: 1, everyMs: 1 }))
    const harness = await startBenchHarness(t, { providers: [providerAt(endpoint.baseUrl, 'p', ['small'], { context_window: 1000 })] })
    const job = await harness.bench({ models: ['p/small'], runs: 2, context_tiers: [0, 5000], warmup: 0 })
    const final = await job.final()
    t.match(final, { result: { total: 2, ok: 2, skipped: 1, cells: [{ status: 'measured' }, { status: 'skipped', context_tier: 5000 }] } })
    t.match(final.progress, { current: 2, total: 2 })
    t.match(resultsOf(job.of('process_result'))[0], { status: 'skipped', context_tier: 5000, reason: /context window has 1000/ })
    t.equal(endpoint.served.length, 2)
    const nothing = await harness.bench({ models: ['p/small'], context_tiers: [5000] })
    t.match(await nothing.final(), { type: 'process_failed', code: 'invalid_input', error: /No context tier fits/ })
  },
)

t.test('[BENCH-6] what fails is a result of its own and the rest goes on; the benchmark fails only when nothing succeeded', async (t) => {
  const good = await startEndpoint(t, steady({ tokens: 2, firstMs: 1, everyMs: 1 }))
  const limited = await startEndpoint(t, refusing(429, 'slow down'))
  const hanging = await startEndpoint(t, () => {})
  const providers = [providerAt(good.baseUrl, 'good'), providerAt(limited.baseUrl, 'limited'), providerAt(hanging.baseUrl, 'hanging')]
  const harness = await startBenchHarness(t, { providers })
  const few = { runs: 2, context_tiers: [0], warmup: 0, timeout_s: 1 }
  const mixed = await harness.bench({ models: ['good/m', 'limited/m'], ...few })
  t.match(await mixed.final(), {
    type: 'process_completed',
    result: {
      total: 4,
      ok: 2,
      failed: 2,
      cells: [
        { model: 'good/m', ok: 2 },
        { model: 'limited/m', failures: { rate_limited: 2 }, ttft_ms: null },
      ],
    },
  })
  const failed = resultsOf(mixed.of('process_result')).filter(({ status }) => status === 'failed')
  t.equal(failed.length, 2)
  for (const result of failed) t.ok(isResult.Check(result))
  t.match(failed[0], { model: 'limited/m', code: 'rate_limited', error: /\(429\): 429 slow down/ })
  const none = await harness.bench({ models: ['limited/m', 'hanging/m'], ...few })
  t.match(await none.final(), {
    type: 'process_failed',
    code: 'endpoint_error',
    error: /^No request succeeded\. .*2 rate_limited.*\(429\)/,
    progress: { current: 4 },
  })
  const hung = await harness.bench({ models: ['hanging/m'], ...few, runs: 1 })
  t.match(await hung.final(), {
    type: 'process_failed',
    code: 'timeout',
    error: /1 timeout\. hanging\/m: Not a single token came within 1 s/,
  })
  t.same(harness.faults, [])
})

t.test(
  '[BENCH-10] cancelled in the middle of a stream: no result of it, the endpoint sees the client go, and nothing follows',
  async (t) => {
    const endpoint = await startEndpoint(t, steady({ tokens: 2000, firstMs: 1, everyMs: 5 }))
    const harness = await startBenchHarness(t, { providers: [providerAt(endpoint.baseUrl, 'p')] })
    const job = await harness.bench({ models: ['p/m'], warmup: 0 })
    await eventually(() => (endpoint.served[0]?.wroteAt.length ?? 0) > 5)
    t.equal(await harness.nodes[0]?.hub.jobs.cancel(job.id, () => true), 'cancelling')
    t.match(await job.final(), { type: 'process_cancelled', progress: { current: 0, total: 9 } })
    await eventually(() => endpoint.served[0]?.leftAt)
    t.same(job.of('process_result'), [])
    t.equal(endpoint.served.length, 1)
    t.same(harness.faults, [])
  },
)

t.test('[BENCH-11] a worker that stops hands the benchmark back; another one begins anew and the bar does not fall', async (t) => {
  let isSlow = true
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const endpoint = await startEndpoint(t, async (response, served) => {
    if (endpoint.served.length <= 3 || !isSlow) return steady({ tokens: 2, firstMs: 1, everyMs: 1 })(response, served)
    openStream(response)
    await Promise.race([released, once(response, 'close')])
    writeEvent(response, deltaOf({ content: 'late' }))
    closeStream(response)
  })
  const harness = await startBenchHarness(t, { providers: [providerAt(endpoint.baseUrl, 'p')] })
  const job = await harness.bench({ models: ['p/m'], runs: 5, context_tiers: [0], warmup: 0 })
  await eventually(() => job.of('process_result').length === 3)
  await eventually(() => endpoint.served.length === 4)
  await harness.worker?.close()
  isSlow = false
  release()
  const worker = await buildWorkerNode(harness.config, BUILT_IN_WORK, {
    info: () => {},
    warn: () => {},
    error: (fields) => harness.faults.push(fields),
  })
  await worker.start()
  t.teardown(() => worker.close())
  t.match(await job.final(), { type: 'process_completed', result: { total: 5, ok: 5 } })
  t.same(
    resultsOf(job.of('process_result')).map(({ run }) => run),
    [1, 2, 3, 1, 2, 3, 4, 5],
  )
  const bars = job.of('process_progress').map(({ progress }) => progress.current)
  t.same(
    bars,
    [...bars].sort((x, y) => x - y),
  )
})

t.test(
  '[BENCH-11] everything closed in the middle, opened on the other node: the list has it with its progress, the rest comes live',
  async (t) => {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const endpoint = await startEndpoint(t, async (response, served) => {
      if (endpoint.served.length > 4) await Promise.race([released, once(response, 'close')])
      await steady({ tokens: 3, firstMs: 1, everyMs: 1 })(response, served)
    })
    const harness = await startBenchHarness(t, { nodes: 2, providers: [providerAt(endpoint.baseUrl, 'p')] })
    const open = async (node: number) => {
      const client = new TestClient(`${harness.nodes[node]?.ws}/ws?token=${harness.token()}`)
      harness.onTeardown(() => client.terminate())
      await client.opened
      return client
    }
    const before = await open(0)
    t.match(await before.next('process_list'), { processes: [] })
    const job = await harness.bench({ models: ['p/m'], warmup: 0 })
    for (let results = 0; results < 4; results += 1) await before.next('process_result')
    await before.close()
    await eventually(() => job.of('process_progress').at(-1)?.progress.current === 4)
    const after = await open(1)
    const { processes } = await after.next('process_list')
    t.match(processes, [{ process_id: job.id, process_type: 'benchmark', status: 'running', progress: { total: 9, model: 'p/m' } }])
    t.equal(processes[0].progress.current, 4)
    release()
    const completed = await after.next('process_completed')
    t.same(completed.result, (await job.final()).result, 'the same result as was stored')
    t.match(completed.result, { ok: 9, cells: [{ ok: 3 }, { ok: 3 }, { ok: 3 }] })
    const seen = [...before.messages, ...after.messages].filter(({ type }) => type === 'process_result')
    const byPosition = (messages: readonly Message[]) => messages.map(({ seq, result }) => [seq, result])
    t.same(byPosition(seen), byPosition(job.of('process_result')), 'each result once, and none is missing')
  },
)

t.test(
  '[BENCH-12] POST /api/benchmark: 202 with the process; the same again changes nothing; what is not valid is told by its path',
  async (t) => {
    const harness = await startBenchHarness(t, { processor: null })
    const body = { process_id: 'b-1', models: ['local/ngram'] }
    const first = await harness.call('POST', '/api/benchmark', { body })
    t.match(first, {
      status: 202,
      body: {
        process_id: 'b-1',
        process_type: 'benchmark',
        status: 'queued',
        links: { self: '/api/processes/b-1', events: '/api/processes/b-1/events' },
      },
    })
    t.equal(first.headers.get('location'), '/api/processes/b-1')
    t.same((await harness.call('POST', '/api/benchmark', { body: { ...body, runs: 3 } })).body, first.body, 'a default is the same input')
    t.match(await harness.call('POST', '/api/benchmark', { body: { ...body, runs: 4 } }), { status: 409, body: { error: 'other_input' } })
    t.match(await harness.call('POST', '/api/benchmark', { body, sub: 'bob' }), { status: 409, body: { error: 'id_taken' } })
    t.match(await harness.call('POST', '/api/benchmark', { body, token: null }), { status: 401 })
    const faults: [body: object, path: string, expected: RegExp][] = [
      [{ models: ['local/ngram', 'acme/x'] }, '/models/1', /^one of local\/ngram$/],
      [{ models: [] }, '/models', /./],
      [{ models: ['local/ngram'], runs: 51 }, '/runs', /<= 50/],
      [{ models: ['local/ngram'], base_url: 'http://evil' }, '/base_url', /absent/],
      [{ models: ['local/ngram'], api_key: 'x' }, '/api_key', /absent/],
      [{ models: ['local/ngram'], process_id: '7' }, '/process_id', /./],
      [{}, '/models', /present/],
    ]
    for (const [faulty, path, expected] of faults) {
      const answer = await harness.call('POST', '/api/benchmark', { body: faulty })
      t.match(answer, { status: 422, body: { error: 'invalid', detail: [{ path, expected }] } }, JSON.stringify(faulty))
    }
    const elsewhere = { kind: 'benchmark', input: { models: ['local/ngram', 'acme/x'] } }
    t.match(await harness.call('POST', '/api/jobs', { body: elsewhere }), {
      status: 422,
      body: { error: 'invalid', detail: [{ path: '/input/models/1', expected: 'one of local/ngram' }] },
    })
  },
)

t.test('[BENCH-8] GET /api/models tells a user what is configured, and nobody else', async (t) => {
  const providers = [providerAt('http://secret-host:1/v1', 'acme', ['large'], { price_per_million_input: 2, description: 'Ours.' })]
  const harness = await startBenchHarness(t, { providers, processor: null })
  const { status, body } = await harness.call('GET', '/api/models')
  t.equal(status, 200)
  t.match(body.models, [
    { id: 'local/ngram', provider: 'local', context_window: 8192, description: /trigram/ },
    { id: 'acme/large', provider: 'acme', name: 'large', context_window: 100_000, price_per_million_input: 2, description: 'Ours.' },
  ])
  t.notMatch(JSON.stringify(body), /secret-host/)
  t.match(await harness.call('GET', '/api/models', { token: null }), { status: 401 })
})
