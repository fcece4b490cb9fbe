import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { controlWriter } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'
import type { KindName } from '../../src/kinds/index.js'
import { ProcessView } from '../../src/protocol/process-messages.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { BUILT_IN } from '../support/kinds.js'
import { Stage } from '../support/stage.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const view = Compile(ProcessView)
const benchmarkEvents = processEvents('benchmark')

/** A job that is stored as a submit would have stored it, at a moment of the past. */
async function store(h: Harness, id: string, fields: { kind?: KindName; owner?: string; second?: number } = {}): Promise<void> {
  const { kind = 'run', owner = 'alice', second = 0 } = fields
  const created_at = new Date(Date.now() - 3_600_000 + second * 1000).toISOString()
  const record = { id, kind, owner, input: JSON.stringify(HORN), digest: '', generation: randomBytes(6).toString('hex'), created_at }
  await partsOf(h).store.create(
    { ...record, timeoutMs: 3600_000, solver: null, parent: null },
    BUILT_IN.get(kind).events.status(id, 'queued'),
  )
  await partsOf(h).feeds.add(owner, id)
}

function partsOf(h: Harness) {
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new Error('no node')
  return parts
}

function idsOf({ processes }: { processes: { process_id: string }[] }): string[] {
  return processes.map(({ process_id }) => process_id)
}

t.test('[REST-1] the list: own jobs of every kind in one order, with a cursor and by whether they have ended', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2, env: { SWEEP_INTERVAL_MS: '600000' } })
  const ids: string[] = []
  for (let second = 0; second < 12; second += 1) {
    const id = `job-${second}`
    await store(h, id, { kind: second % 3 === 0 ? 'benchmark' : 'run', second })
    if (second % 4 === 0) await h.call('POST', `/api/processes/${id}/cancel`)
    ids.unshift(id)
  }
  await store(h, 'of-bob', { owner: 'bob' })
  const list = async (query = '', sub = 'alice') => (await h.call('GET', `/api/processes?${query}`, { sub, node: query.length % 2 })).body
  const all = await list()
  t.same(idsOf(all), ids, 'newest first, whatever the kind')
  t.equal(all.cursor, null)
  t.same(idsOf(await list('', 'bob')), ['of-bob'])
  for (const { result, ...fields } of all.processes) {
    t.ok(view.Check(fields))
    t.equal(result?.type, fields.status === 'cancelled' ? 'process_cancelled' : undefined)
  }
  t.same(all.processes[0], (await h.call('GET', `/api/processes/${ids[0]}`)).body, 'each as it is when asked for alone')
  t.same(new Set(all.processes.map(({ process_type }: { process_type: string }) => process_type)), new Set(['solver', 'benchmark']))

  const final = ids.filter((id) => Number(id.slice(4)) % 4 === 0)
  const wanted = { '': ids, 'status=final': final, 'status=active': ids.filter((id) => !final.includes(id)) }
  for (const [query, expected] of Object.entries(wanted)) {
    for (const limit of [1, 2, 5, 12, 200]) {
      const paged: string[] = []
      let cursor: string | null = null
      do {
        const page = await list(`limit=${limit}&${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
        t.ok(page.processes.length <= limit)
        paged.push(...idsOf(page))
        cursor = page.cursor
      } while (cursor !== null && paged.length <= ids.length)
      t.same(paged, expected, `${query || 'all'} by ${limit}`)
    }
  }
  for (const query of ['status=ended', 'status=', 'limit=0', 'limit=201', 'cursor=abc']) {
    const path = `/querystring/${query.split('=')[0]}`
    t.match(await h.call('GET', `/api/processes?${query}`), { status: 422, body: { error: 'invalid', detail: [{ path }] } }, query)
  }
  t.match(await h.call('GET', '/api/processes', { token: null }), { status: 401, body: { error: 'unauthenticated' } })
  t.same(h.faults, [])
})

t.test('[REST-1] what has expired is left out, and leaves the index', async (t) => {
  const h = await startHarness(t, { processor: null, env: { FINAL_TTL_MS: '1000' } })
  for (const kind of ['run', 'benchmark'] as const) await store(h, `gone-${kind}`, { kind })
  await store(h, 'there')
  for (const kind of ['run', 'benchmark'])
    await partsOf(h).broker.publish(`gone-${kind}`, [BUILT_IN.get('run').events.cancelled('x', {})], controlWriter(1))
  for (const id of ['gone-run', 'gone-benchmark']) await eventually(async () => (await partsOf(h).broker.read(id)) === null)
  const { body } = await h.call('GET', '/api/processes')
  t.same(idsOf(body), ['there'])
  t.same((await partsOf(h).store.list('alice', null, 10)).ids, ['there'])
})

t.test('[REST-2] [REST-3] a run as a process: state, entries, cancel', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit()
  const play = await stage.play(id)
  play.job.progress({ percent: 40, phase: 'solving', message: 'Half way' })
  play.job.metric('quality', 7, '1')
  const state = await eventually(async () => {
    const { body } = await h.call('GET', `/api/processes/${id}`)
    return body.seq === 4 && body
  })
  const { created_at, started_at, epoch } = state
  t.same(state, {
    ...{ process_id: id, process_type: 'solver', status: 'running', attempt: 1, stale: false },
    ...{
      progress: { current: 40, total: 100, detail: 'Half way', phase: 'solving', eta_s: null, step_s: null },
      created_at,
      started_at,
      finished_at: null,
    },
    ...{ seq: 4, epoch, result: null },
  })
  t.match(await h.call('POST', `/api/processes/${id}/cancel`), { status: 202, body: { process_id: id, status: 'cancelling' } })
  const ended = await eventually(async () => {
    const { body } = await h.call('GET', `/api/processes/${id}`)
    return body.status === 'cancelled' && body
  })
  t.match(ended.result, { type: 'process_cancelled', process_id: id, progress: { current: 40, total: 100 }, seq: ended.seq })

  const events = async (query: string) => (await h.call('GET', `/api/processes/${id}/events?${query}`)).body
  const whole = await events('')
  t.match(whole, { process_id: id, epoch, seq: ended.seq, oldest_seq: 1, truncated: false, next_after: null })
  const types = ['process_queued', 'process_started', 'process_cancelling', 'process_cancelled']
  t.same(
    whole.events.map(({ type }: { type: string }) => type),
    types,
    'a metric has no message here',
  )
  const paged: unknown[] = []
  for (let after: number | null = 0; after !== null; ) {
    const page = await events(`after=${after}&limit=1`)
    t.equal(page.events.length, page.next_after === null ? 0 : 1, 'empty at the end alone')
    paged.push(...page.events)
    after = page.next_after
  }
  t.same(paged, whole.events)
  t.match(await h.call('POST', `/api/processes/${id}/cancel`), { status: 409, body: { error: 'already_final' } })
  for (const path of ['', '/events']) {
    t.match(await h.call('GET', `/api/processes/${id}${path}`, { sub: 'bob' }), { status: 404, body: { error: 'not_found' } })
    t.match(await h.call('GET', `/api/processes/nothing${path}`), { status: 404, body: { error: 'not_found' } })
  }
  t.match(await h.call('POST', `/api/processes/${id}/cancel`, { sub: 'bob' }), { status: 404, body: { error: 'not_found' } })
  t.same(h.faults, [])
})

t.test('[REST-1] active jobs are read from their index, whatever else there is', async (t) => {
  const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
  const { broker, feeds } = partsOf(h)
  const active = ['active-0', 'active-1', 'active-2']
  for (const id of active) await store(h, id, { kind: id === 'active-1' ? 'benchmark' : 'run' })
  for (let second = 1; second <= 30; second += 1) {
    await store(h, `ended-${second}`, { second })
    await feeds.remove('alice', `ended-${second}`)
  }
  // As one that ended a moment ago.
  await h.call('POST', '/api/processes/ended-30/cancel')
  await feeds.add('alice', 'ended-30')
  let reads = 0
  const read = broker.readBrief.bind(broker)
  broker.readBrief = (id) => {
    reads += 1
    return read(id)
  }
  const list = async (path: string) => {
    reads = 0
    return (await h.call('GET', path)).body
  }
  t.same(idsOf(await list('/api/processes?status=active&limit=4')), [...active].reverse())
  t.equal(reads, 4, 'the three and the one that has just ended')
  const page = await list('/api/processes?status=active&limit=2')
  t.same(idsOf(page), ['active-2', 'active-1'])
  t.match(page.cursor, /^\d{16}:active-1$/)
  const rest = await list(`/api/processes?status=active&limit=2&cursor=${page.cursor}`)
  t.same([idsOf(rest), rest.cursor], [['active-0'], null])
  t.same(idsOf(await list(`/api/processes?status=active&cursor=${Date.now()}:older-hub`)), [...active].reverse(), 'a cursor in ms')
  const { runs } = await list('/api/v2/runs?status=active&limit=1')
  t.same(
    runs.map(({ run_id }: { run_id: string }) => run_id),
    ['active-2'],
  )
  t.same(idsOf(await list('/api/processes?status=final')), ['ended-30'], 'and the others are final by their state alone')
})

t.test('[REST-2] [REST-3] a benchmark is a process, and no run', async (t) => {
  const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
  const id = 'bench-1'
  await store(h, id, { kind: 'benchmark' })
  const progress = { current: 1, total: 6, model: 'local/ngram', detail: 'Run 1/3, Context 0' }
  const writer = { round: 1, token: 1, n: 1 }
  const events = [
    benchmarkEvents.status(id, 'running'),
    benchmarkEvents.progress(id, progress),
    benchmarkEvents.result(id, { ttft_ms: 12 }),
  ]
  await partsOf(h).broker.publish(id, events, writer)
  const end = benchmarkEvents.completed(id, { compute_time_s: 2, models: 1 } as { compute_time_s: number }, { progress })
  t.match((await h.call('GET', `/api/processes/${id}`)).body, { process_type: 'benchmark', status: 'running', progress, result: null })
  await partsOf(h).broker.publish(id, [end], controlWriter(1))
  const { body } = await h.call('GET', `/api/processes/${id}`)
  t.match(body, { status: 'completed', progress, result: { type: 'process_completed', result: { models: 1 }, compute_time_s: 2 } })
  const page = (await h.call('GET', `/api/processes/${id}/events`)).body
  t.match(page.events, [
    { type: 'process_queued' },
    { type: 'process_started' },
    { type: 'process_result', result: { ttft_ms: 12 } },
    body.result,
  ])
  for (const path of ['', '/events']) t.match(await h.call('GET', `/api/v2/runs/${id}${path}`), { status: 404 })
  for (const act of ['cancel', 'retry']) t.match(await h.call('POST', `/api/v2/runs/${id}/${act}`), { status: 404 }, act)
  t.same((await h.call('GET', '/api/v2/runs')).body.runs, [])
  t.match(await h.call('POST', `/api/processes/${id}/retry`), { status: 409, body: { error: 'not_final' } })
  t.same(h.faults, [])
})

t.test('[IDEM-1] [IDEM-2] the same key enqueues once', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '8' } })
  const submit = (
    key: string,
    { input = HORN, sub = 'alice', node = 0, ...body }: { input?: object; sub?: string; node?: number; run_id?: string } = {},
  ) => h.call('POST', '/api/v2/runs', { sub, node, headers: { 'idempotency-key': key }, body: { ...body, input } })
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => submit('key-1', { node: i % 2 })))
  const ids = new Set(answers.map(({ body }) => body.run_id))
  for (const { status } of answers) t.equal(status, 202)
  t.equal(ids.size, 1)
  const [id = ''] = ids
  ;(await stage.play(id)).complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  t.match(await submit('key-1'), { status: 202, body: { run_id: id, status: 'completed' } }, 'also after the end')
  t.match(await submit('key-1', { input: { ...HORN, width_mm: 30 } }), { status: 409, body: { error: 'other_input' } })
  t.match(await submit('key-1', { run_id: 'own-id' }), { status: 202, body: { run_id: 'own-id' } }, 'an id goes before the key')
  const others = await Promise.all([submit('key-2'), submit('key-1', { sub: 'bob' })])
  for (const { status, body } of others) {
    t.equal(status, 202)
    t.notOk(ids.has(body.run_id))
  }
  await stage.play(others[1]?.body.run_id)
  t.equal(stage.playsOf(id).length, 1, 'computed once')
  for (const key of ['', 'a b', 'x'.repeat(256), 'ä']) {
    const detail = [{ path: '/headers/idempotency-key', expected: /.+/ }]
    t.match(await submit(key), { status: 422, body: { error: 'invalid', detail } }, JSON.stringify(key))
  }
  t.match(await submit('x'.repeat(255)), { status: 202 })
  t.same(h.faults, [])
})
