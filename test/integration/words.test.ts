import t from 'tap'
import { WebSocket } from 'ws'
import { createJobs } from '../../src/app/create-jobs.js'
import { createClient, watchProcesses } from '../../src/client/index.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import { openTab } from '../support/tab.js'

const stage = new Stage()
const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { QUIET_MS: '60000', WORKER_CONCURRENCY: '16' } })
const WORDS = { title: 'Horn, größer', tags: ['titanium', 'R&D'], metadata: { ticket: 4711, nested: { empty: [] } } }

t.test('[WORDS-1] every door takes words, and every state says them', async (t) => {
  const [node] = h.nodes
  const jobs = createJobs({ redisUrl: h.redis.url, redisPrefix: h.redis.prefix, owner: 'alice' })
  const client = createClient({ url: node?.http ?? '', token: () => h.token('alice'), WebSocket })
  t.teardown(() => Promise.all([jobs.close(), client.close()]))
  const input = HORN as never
  const doors: Record<string, () => Promise<unknown>> = {
    runs: () => h.call('POST', '/api/v2/runs', { body: { run_id: 'runs', input: HORN, ...WORDS } }),
    jobs: () => h.call('POST', '/api/jobs', { body: { kind: 'run', id: 'jobs', input: HORN, ...WORDS } }),
    createJobs: () => jobs.submit('run', input, { id: 'createJobs', ...WORDS }),
    createClient: () => client.submit('run', HORN, { id: 'createClient', ...WORDS }),
  }
  for (const [id, submit] of Object.entries(doors)) {
    await submit()
    for (const path of [`/api/v2/runs/${id}`, `/api/jobs/${id}`, `/api/processes/${id}`])
      t.match(await h.call('GET', path), { status: 200, body: WORDS }, path)
    t.same((await h.call('GET', `/api/jobs/${id}`)).body.metadata, WORDS.metadata)
  }
  t.match((await h.call('GET', '/api/processes?limit=1')).body.processes, [WORDS])
  t.match((await h.call('GET', '/api/v2/runs?limit=1')).body.runs, [WORDS])
  const snapshot = await (await h.connect('runs')).next('status')
  t.match(snapshot, WORDS)
  const tab = await openTab(h, 1)
  t.match(tab.messages[0], { processes: [WORDS, WORDS, WORDS, WORDS] })
  t.match(await jobs.read('runs'), WORDS)
  t.match(await client.job('runs').status(), WORDS)
  const plain = await h.submit({ id: 'plain' })
  const state = (await h.call('GET', `/api/jobs/${plain}`)).body
  for (const field of ['title', 'tags', 'metadata', 'parent_id']) t.notOk(field in state, field)
})

t.test('[TURN-1] [TURN-2] [TURN-3] every door takes a delay and a priority, and every state says them', async (t) => {
  const [node] = h.nodes
  const jobs = createJobs({ redisUrl: h.redis.url, redisPrefix: h.redis.prefix, owner: 'alice' })
  const client = createClient({ url: node?.http ?? '', token: () => h.token('alice'), WebSocket })
  t.teardown(() => Promise.all([jobs.close(), client.close()]))
  const tab = await openTab(h, 1)
  const turn = { delay_ms: 3600_000, priority: 7 }
  const options = { delayMs: turn.delay_ms, priority: turn.priority }
  const doors: Record<string, () => Promise<unknown>> = {
    'd-runs': () => h.call('POST', '/api/v2/runs', { body: { run_id: 'd-runs', input: HORN, ...turn } }),
    'd-jobs': () => h.call('POST', '/api/jobs', { body: { kind: 'run', id: 'd-jobs', input: HORN, ...turn } }),
    'd-createJobs': () => jobs.submit('run', HORN as never, { id: 'd-createJobs', ...options }),
    'd-createClient': () => client.submit('run', HORN, { id: 'd-createClient', ...options }),
  }
  for (const [id, submit] of Object.entries(doors)) {
    await submit()
    const { created_at } = (await h.call('GET', `/api/v2/runs/${id}`)).body
    const not_before = new Date(Date.parse(created_at) + turn.delay_ms).toISOString()
    for (const path of [`/api/v2/runs/${id}`, `/api/jobs/${id}`, `/api/processes/${id}`])
      t.match(await h.call('GET', path), { body: { status: 'queued', not_before: /T/, priority: 7 } }, path)
    const { body } = await h.call('GET', `/api/jobs/${id}`)
    t.ok(Math.abs(Date.parse(body.not_before) - Date.parse(not_before)) < 100)
    t.match(await tab.next('process_queued'), { process_id: id, not_before: body.not_before })
    await submit()
    t.equal((await h.call('POST', `/api/v2/runs/${id}/cancel`)).body.status, 'cancelled', 'it has not started')
  }
  t.match(await client.job('d-jobs').status(), { priority: 7, notBefore: /T/ })
  t.match(await h.call('POST', '/api/v2/runs/d-runs/retry'), { status: 202 })
  t.match(await tab.next('process_queued'), { process_id: 'd-runs', not_before: /T/ })
  t.same(stage.playsOf('d-runs'), [], 'a retry waits for the same time')
  await h.call('POST', '/api/v2/runs/d-runs/cancel')
  for (const [path, fields] of [
    ['/delay_ms', { delay_ms: 604_800_001 }],
    ['/delay_ms', { delay_ms: 0.5 }],
    ['/priority', { priority: 10 }],
    ['/delay_ms', { delay_ms: 1, claim: true }],
  ] as const)
    t.match(await h.call('POST', '/api/jobs', { body: { kind: 'run', input: HORN, ...fields } }), {
      status: 422,
      body: { detail: [{ path }] },
    })
  await t.rejects(client.submit('run', HORN, { priority: -1 }), { code: 'invalid', issues: [{ path: '/priority' }] })
  await t.rejects(jobs.submit('run', HORN as never, { delayMs: -1 }), { code: 'invalid', issues: [{ path: '/delayMs' }] })
  const soon = await client.submit('run', HORN, { delayMs: 100 })
  const { startedAt, notBefore } = await eventually(async () => {
    const info = await soon.status()
    return info.startedAt && info
  })
  t.ok(Date.parse(startedAt ?? '') >= Date.parse(notBefore ?? ''))
  t.ok(Date.parse(startedAt ?? '') - Date.parse(notBefore ?? '') < 2000, 'it does not wait for a sweep')
})

t.test('[WORDS-1] [JOB-2] words are no part of the input: a repeated submit changes none', async (t) => {
  const body = { run_id: 'again', input: HORN }
  await h.call('POST', '/api/v2/runs', { body: { ...body, ...WORDS } })
  t.equal((await h.call('POST', '/api/v2/runs', { body: { ...body, title: 'another' } })).status, 202)
  t.match(await h.call('GET', '/api/v2/runs/again'), { body: WORDS })
  t.same(Object.keys((await h.call('GET', '/api/v2/runs/again/input')).body).includes('title'), false)
})

t.test('[WORDS-2] faulty words are 422, each with its path', async (t) => {
  const faults: [string, object][] = [
    ['/title', { title: '' }],
    ['/title', { title: 'x'.repeat(201) }],
    ['/title', { title: 'two\nlines' }],
    ['/title', { title: '\u001b[31mred' }],
    ['/tags', { tags: Array.from({ length: 17 }, (_, i) => `t${i}`) }],
    ['/tags', { tags: ['a', 'a'] }],
    ['/tags/0', { tags: ['x'.repeat(65)] }],
    ['/metadata', { metadata: [] }],
    ['/metadata', { metadata: { text: 'x'.repeat(4096) } }],
  ]
  const id = await h.submit({ id: 'faulty' })
  for (const [path, words] of faults) {
    const expected = { status: 422, body: { error: 'invalid', detail: [{ path }] } }
    t.match(await h.call('POST', '/api/v2/runs', { body: { input: HORN, ...words } }), expected, path)
    t.match(await h.call('POST', '/api/jobs', { body: { kind: 'run', input: HORN, ...words } }), expected, path)
    t.match(await h.call('PATCH', `/api/jobs/${id}`, { body: words }), expected, path)
  }
  t.match(await h.call('PATCH', `/api/jobs/${id}`, { body: {} }), { status: 422 })
  t.match(await h.call('PATCH', `/api/jobs/${id}`, { body: { status: 'completed' } }), { status: 422 })
  t.match(await h.call('PATCH', `/api/jobs/${id}`, { body: { title: 'ü'.repeat(200) } }), { status: 200 })
})

t.test('[WORDS-3] PATCH changes single words, null removes, and a stranger gets 404', async (t) => {
  await h.call('POST', '/api/v2/runs', { body: { run_id: 'patched', input: HORN, ...WORDS } })
  const { title: _title, ...untitled } = (await h.call('GET', '/api/v2/runs/patched')).body
  t.notMatch((await h.call('PATCH', '/api/v2/runs/patched', { body: { title: null } })).body, { title: String })
  t.match((await h.call('PATCH', '/api/processes/patched', { body: { tags: ['other'] } })).body, {
    tags: ['other'],
    metadata: WORDS.metadata,
  })
  t.match((await h.call('GET', '/api/v2/runs/patched')).body, { ...untitled, tags: ['other'], status: String, attempt: 1, seq: Number })
  t.match(await h.call('PATCH', '/api/v2/runs/patched', { sub: 'mallory', body: { title: 'mine' } }), { status: 404 })
  t.match(await h.call('GET', '/api/v2/runs/patched/input', { sub: 'mallory' }), { status: 404 })
  t.match(await h.call('PATCH', '/api/v2/runs/unknown', { body: { title: 'mine' } }), { status: 404 })
  const admin = h.token('root', { claims: { role: 'admin' } })
  t.match(await h.call('PATCH', '/api/v2/runs/patched', { token: admin, body: { title: 'seen' } }), {
    status: 200,
    body: { title: 'seen' },
  })
})

t.test('[WORDS-4] changed words reach every viewer, also after the end, without a position', async (t) => {
  const id = await h.submit({ id: 'live' })
  const run = await h.connect(id)
  const other = await h.connect(id, { node: 1 })
  const tab = await openTab(h, 1)
  await h.call('PATCH', `/api/v2/runs/${id}`, { body: { title: 'live', tags: ['a'] } })
  const expected = { title: 'live', tags: ['a'], metadata: null }
  for (const viewer of [run, other]) {
    const { timestamp, ...words } = await viewer.next('words')
    t.same(words, { type: 'words', run_id: id, ...expected })
    t.match(timestamp, /Z$/)
  }
  t.match(await tab.next('process_words'), { process_id: id, process_type: 'solver', ...expected })
  await (await stage.play(id)).complete()
  const end = await run.next('completed')
  await h.call('PATCH', `/api/v2/runs/${id}`, { body: { title: 'after the end' } })
  t.match(await run.next('words'), { title: 'after the end' })
  const late = await h.connect(id, { query: `after=${end.seq}&epoch=${run.messages[0]?.epoch}` })
  t.match(await late.next('status'), { title: 'after the end', seq: end.seq, recovered: true })
  t.match(await h.call('GET', `/api/v2/runs/${id}/events`), { body: { seq: end.seq } }, 'no entry')
})

t.test('[WORDS-4] a process that begins later is announced with its words', async (t) => {
  const tab = await openTab(h, 1)
  await h.call('POST', '/api/v2/runs', { body: { run_id: 'later', input: HORN, ...WORDS } })
  t.match(await tab.next('process_queued'), { process_id: 'later' })
  t.match(await tab.next('process_words'), { process_id: 'later', ...WORDS })
})

t.test('[WORDS-4] the client keeps words in its view', async (t) => {
  const [node] = h.nodes
  const url = `${node?.ws ?? ''}/ws`
  const watch = watchProcesses({ url, token: () => h.token('alice'), WebSocket })
  t.teardown(() => watch.close())
  const client = createClient({ url: node?.http ?? '', token: () => h.token('alice'), WebSocket })
  t.teardown(() => client.close())
  const job = await client.submit('run', HORN, { title: 'first' })
  await eventually(() => watch.view.get(job.id)?.title === 'first')
  t.match(await job.update({ title: 'second', metadata: { a: 1 } }), { title: 'second', metadata: { a: 1 }, tags: [] })
  await eventually(() => watch.view.get(job.id)?.title === 'second')
  t.match(await job.update({ metadata: null }), { metadata: null })
  await eventually(() => watch.view.get(job.id)?.metadata === undefined)
  t.match(await job.input(), { material: 'ti-6al-4v', mesh: { elements_x: 8 } })
})

t.test('[WORDS-5] GET …/input is the input with its defaults', async (t) => {
  const id = await h.submit({ id: 'input' })
  for (const base of ['/api/v2/runs', '/api/jobs', '/api/processes']) {
    const { status, body, headers } = await h.call('GET', `${base}/${id}/input`)
    t.match({ status, body }, { status: 200, body: { ...HORN, mesh: { elements_y: 40, elements_x: 8 } } })
    t.match(headers.get('content-type'), 'application/json')
  }
})
