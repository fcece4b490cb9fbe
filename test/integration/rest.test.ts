import { createSigner } from 'fast-jwt'
import t from 'tap'
import { runEvents } from '../../src/protocol/run-events.js'
import { RUN_MESSAGES } from '../../src/protocol/run-messages.js'
import { eventually } from '../helpers/eventually.js'
import { type Answer, HORN, SECRET, startHarness } from '../helpers/harness.js'
import { Stage } from '../helpers/stage.js'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const UNKNOWN = { status: 404, body: { error: 'not_found', message: 'There is no such job.', detail: [] } }

/** `HORN` with every default said. */
const EXPLICIT = {
  sweep: { span_pct: 5, points: 21 },
  mesh: { elements_y: 40, elements_x: 8 },
  amplitude_um: 20,
  target_frequency_hz: 20_000,
  ...HORN,
}

t.test('the life of a run', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { WORKER_CONCURRENCY: '16' } })

  t.test('[JOB-1] an id is given by the client, or is a UUIDv7', async (t) => {
    for (const id of ['a', '0a', 'A.b_c-9', `${'9'.repeat(127)}x`]) {
      const answer = await h.call('POST', '/api/v2/runs', { body: { run_id: id, input: HORN } })
      const links = {
        self: `/api/v2/runs/${id}`,
        events: `/api/v2/runs/${id}/events`,
        cancel: `/api/v2/runs/${id}/cancel`,
        socket: `/api/v2/ws/runs/${id}`,
      }
      t.match(answer, { status: 202, body: { run_id: id, status: /queued|running/, created_at: /^\d{4}-.*Z$/, links } })
      t.equal(answer.headers.get('location'), links.self)
      t.match(await h.call('GET', links.self), { status: 200, body: { run_id: id } })
      t.match(await h.call('GET', links.events), { status: 200, body: { run_id: id } })
    }
    const first = await h.call('POST', '/api/v2/runs', { body: { input: HORN } })
    const second = await h.call('POST', '/api/v2/runs', { body: { solver: 'horn-2d', input: HORN } })
    t.match(first.body.run_id, UUID_V7)
    t.match(second.body.run_id, UUID_V7)
    t.ok(first.body.run_id < second.body.run_id, 'in order of time')
  })

  t.test('[JOB-1] what is no id: 422 where it is given, 404 where it is asked for', async (t) => {
    for (const id of ['12345', '', '-a', '.a', '_a', 'a b', 'a/b', 'a:b', 'ä', 'a\n', 'x'.repeat(129)]) {
      const given = await h.call('POST', '/api/v2/runs', { body: { run_id: id, input: HORN } })
      t.match(given, { status: 422, body: { error: 'invalid', detail: [{ path: '/run_id', expected: /pattern/ }] } }, JSON.stringify(id))
      t.equal(given.body.detail.length, 1)
      for (const path of ['', '/events']) t.same(answerOf(await h.call('GET', `/api/v2/runs/${encodeURIComponent(id)}${path}`)), UNKNOWN)
      t.same(answerOf(await h.call('POST', `/api/v2/runs/${encodeURIComponent(id)}/cancel`)), UNKNOWN)
    }
    t.same(answerOf(await h.call('GET', '/api/v2/runs/%zz')), UNKNOWN, 'also one that cannot be decoded')
    t.match(await h.call('POST', '/api/v2/runs', { body: { run_id: 5, input: HORN } }), {
      status: 422,
      body: { detail: [{ path: '/run_id' }] },
    })
  })

  t.test('[JOB-2] the same id and input again is answered like the first time and executed once', async (t) => {
    const body = { run_id: 'again', input: HORN }
    const answers = await Promise.all(
      [body, body, { ...body, solver: 'horn-2d' }, { ...body, input: EXPLICIT }].map((body) => h.call('POST', '/api/v2/runs', { body })),
    )
    const [first] = answers
    for (const { status, body } of answers) t.match({ status, body }, { status: 202, body: { ...first?.body, status: /queued|running/ } })
    const play = await stage.play('again')
    t.match(await h.call('POST', '/api/v2/runs', { body }), { status: 202, body: { ...first?.body, status: 'running' } })
    play.complete()
    await eventually(async () => (await h.call('GET', '/api/v2/runs/again')).body.status === 'completed')
    const { body: ended } = await h.call('GET', '/api/v2/runs/again')
    t.match(await h.call('POST', '/api/v2/runs', { body: { ...body, input: EXPLICIT } }), {
      status: 202,
      body: { ...first?.body, status: 'completed' },
    })
    // The queue gives out in order: what was enqueued before the next one has begun before it.
    await stage.play(await h.submit({ id: 'the-next-one' }))
    t.equal(stage.playsOf('again').length, 1)
    t.same((await h.call('GET', '/api/v2/runs/again')).body, ended)
  })

  t.test('[JOB-2] other input: 409 other_input; the id of another: 409 id_taken, the same whatever the input and the state', async (t) => {
    const id = await h.submit({ id: 'taken' })
    await stage.play(id)
    const submit = async (sub: string, input: object) =>
      answerOf(await h.call('POST', '/api/v2/runs', { sub, body: { run_id: id, input } }))
    const otherInput = {
      status: 409,
      body: { error: 'other_input', message: 'A job with this id was submitted with another input.', detail: [] },
    }
    for (const change of [{ width_mm: 25.1 }, { mesh: { elements_x: 9 } }, { target_frequency_hz: 20_001 }, { material: 'steel-d2' }]) {
      t.same(await submit('alice', { ...HORN, ...change }), otherInput, JSON.stringify(change))
    }
    const before = await h.call('GET', `/api/v2/runs/${id}`)
    const taken = { status: 409, body: { error: 'id_taken', message: 'This id is in use.', detail: [] } }
    t.same(await submit('bob', HORN), taken, 'running, the same input')
    t.same(await submit('bob', { ...HORN, width_mm: 30 }), taken, 'running, another input')
    t.same((await h.call('GET', '/api/v2/runs', { sub: 'bob' })).body, { runs: [], cursor: null }, 'nothing became of it')
    t.same((await h.call('GET', `/api/v2/runs/${id}`)).body, before.body, 'nor did the job notice')
    await h.call('POST', `/api/v2/runs/${id}/cancel`)
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'cancelled')
    t.same(await submit('bob', HORN), taken, 'ended')
    t.same(await submit('alice', { ...HORN, width_mm: 30 }), otherInput, 'ended, by its owner')
  })

  t.test('[JOB-3] for another user a job does not exist; an admin sees and cancels it', async (t) => {
    const id = await h.submit({ id: 'private' })
    await stage.play(id)
    const asked = async (id: string) => [
      answerOf(await h.call('GET', `/api/v2/runs/${id}`, { sub: 'bob' })),
      answerOf(await h.call('GET', `/api/v2/runs/${id}/events`, { sub: 'bob' })),
      answerOf(await h.call('POST', `/api/v2/runs/${id}/cancel`, { sub: 'bob' })),
    ]
    t.same(await asked(id), [UNKNOWN, UNKNOWN, UNKNOWN])
    t.same(await asked(id), await asked('no-such-job'), 'and one that does not exist is answered alike')
    t.match(await h.call('GET', `/api/v2/runs/${id}`), { body: { status: 'running' } })
    const token = createSigner({ key: SECRET, algorithm: 'HS256', expiresIn: 60_000 })({ sub: 'carol', role: 'admin' })
    t.match(await h.call('GET', `/api/v2/runs/${id}`, { token }), { status: 200, body: { run_id: id, status: 'running' } })
    t.match(await h.call('GET', `/api/v2/runs/${id}/events`, { token }), { status: 200 })
    t.same((await h.call('GET', '/api/v2/runs', { token })).body.runs, [], 'the list is of own runs')
    t.same(answerOf(await h.call('POST', `/api/v2/runs/${id}/cancel`, { token })), {
      status: 202,
      body: { run_id: id, status: 'cancelling' },
    })
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'cancelled')
    const final = { status: 409, body: { error: 'already_final', message: 'The job has ended already.', detail: [] } }
    t.same(answerOf(await h.call('POST', `/api/v2/runs/${id}/cancel`)), final)
  })

  t.test('[JOB-5] a state is the snapshot without what only a socket says, and the final message', async (t) => {
    const id = await h.submit({ id: 'state' })
    const play = await stage.play(id)
    play.job.progress({ percent: 40, phase: 'solving', message: 'Half way' })
    play.job.metric('quality', 7, '1')
    const state = await eventually(async () => {
      const { body } = await h.call('GET', `/api/v2/runs/${id}`)
      return body.metrics.quality && body.percent === 40 && body
    })
    const { created_at, started_at, elapsed_s, epoch } = state
    t.same(state, {
      ...{ run_id: id, status: 'running', attempt: 1, percent: 40, phase: 'solving', message: 'Half way', elapsed_s },
      ...{ metrics: { quality: { value: 7, unit: '1' } }, created_at, started_at, finished_at: null, seq: 4, epoch, result: null },
    })
    play.complete({ quality: 7 })
    const ended = await eventually(async () => {
      const { body } = await h.call('GET', `/api/v2/runs/${id}`)
      return body.status === 'completed' && body
    })
    t.match(ended, { percent: 100, result: { type: 'completed', metrics_summary: { quality: 7 }, percent: 100, phase: 'solving', seq: 5 } })
    t.ok(created_at <= started_at && started_at <= ended.finished_at)
  })

  t.test('[JOB-5] events pages through the durable entries', async (t) => {
    const id = await h.submit({ id: 'events' })
    const play = await stage.play(id)
    for (let i = 1; i <= 7; i += 1) {
      play.job.progress({ percent: i, phase: 'solving', message: '' })
      play.job.metric('m', i, '1')
    }
    play.complete()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
    const events = async (query: string) => (await h.call('GET', `/api/v2/runs/${id}/events?${query}`)).body
    const all = await events('')
    t.same(
      all.events.map(({ type, value, status }: { type: string; value?: number; status?: string }) => value ?? status ?? type),
      ['queued', 'running', 1, 2, 3, 4, 5, 6, 7, 'completed'],
      'durable entries alone, in order',
    )
    const { body: state } = await h.call('GET', `/api/v2/runs/${id}`)
    t.match(all, { run_id: id, epoch: state.epoch, seq: state.seq, oldest_seq: 1, truncated: false, next_after: null })
    t.same(all.events.at(-1), state.result)

    for (const limit of [1, 3, 5, 10, 1000]) {
      const paged: unknown[] = []
      let pages = 0
      for (let after: number | null = 0; after !== null; pages += 1) {
        const page = await events(`limit=${limit}&after=${after}`)
        t.ok(page.events.length <= limit)
        t.match(page, { oldest_seq: 1, truncated: false, next_after: page.events.length === limit ? page.events.at(-1).seq : null })
        paged.push(...page.events)
        after = page.next_after
      }
      t.same(paged, all.events, `by ${limit}`)
      t.equal(pages, Math.floor(10 / limit) + 1)
    }
    t.same((await events(`after=${state.seq}`)).events, [], 'nothing after the last')
    t.same((await events(`after=${state.seq + 1000}`)).events, [], 'nor after what is not there yet')
    const refused = { 'after=-1': '>= 0', 'after=1.5': /integer/, 'after=abc': /integer/, 'after=': /integer/, 'after=1e3': /integer/ }
    const tooMuch = {
      'after=99999999999999999999': '<= 9007199254740991',
      'limit=0': '>= 1',
      'limit=1001': '<= 1000',
      'limit=true': /integer/,
    }
    for (const [query, expected] of Object.entries({ ...refused, ...tooMuch })) {
      const answer = await h.call('GET', `/api/v2/runs/${id}/events?${query}`)
      const path = `/querystring/${query.split('=')[0]}`
      t.match(answer, { status: 422, body: { error: 'invalid', detail: [{ path, expected }] } }, query)
    }
  })

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})

t.test('[JOB-4] input that is not valid: 422 with the path of each faulty field and what is expected there', async (t) => {
  const h = await startHarness(t, { processor: null })
  const input = (change: object) => ({ input: { ...HORN, ...change } })
  const without = (field: string) => ({ input: Object.fromEntries(Object.entries(HORN).filter(([name]) => name !== field)) })
  const absent = 'to be absent: there is no such field'
  const cases: [name: string, body: unknown, faults: Record<string, string | RegExp>][] = [
    ['an unknown material', input({ material: 'cheese' }), { '/input/material': 'one of ti-6al-4v, al-7075-t6, steel-d2' }],
    ['an unknown profile', input({ profile: 'round' }), { '/input/profile': 'one of uniform, stepped, exponential' }],
    ['a negative width', input({ width_mm: -1 }), { '/input/width_mm': '>= 0.1' }],
    ['a width beyond reason', input({ width_mm: 1001 }), { '/input/width_mm': '<= 1000' }],
    ['a text for a number', input({ width_mm: '25' }), { '/input/width_mm': 'of type number' }],
    ['null for a number', input({ width_mm: null }), { '/input/width_mm': 'of type number' }],
    ['a number for a text', input({ material: 5 }), { '/input/material': /^one of/ }],
    ['an unknown field', input({ colour: 'red' }), { '/input/colour': absent }],
    ['a name that JSON Pointer escapes', input({ 'a/b~c': 1 }), { '/input/a~1b~0c': absent }],
    ['a missing field', without('height_mm'), { '/input/height_mm': 'to be present' }],
    ['no tip of a stepped horn', input({ profile: 'stepped' }), { '/input/tip_thickness_mm': /^a number: the profile stepped needs/ }],
    ['no tip of an exponential horn', input({ profile: 'exponential' }), { '/input/tip_thickness_mm': /^a number: / }],
    ['another tip of a uniform horn', input({ tip_thickness_mm: 9 }), { '/input/tip_thickness_mm': /^to be absent, or the same/ }],
    ['too coarse a mesh', input({ mesh: { elements_x: 1 } }), { '/input/mesh/elements_x': '>= 2' }],
    ['too fine a mesh', input({ mesh: { elements_y: 161 } }), { '/input/mesh/elements_y': '<= 160' }],
    ['half an element', input({ mesh: { elements_x: 2.5 } }), { '/input/mesh/elements_x': 'of type integer' }],
    ['an unknown field of the mesh', input({ mesh: { elements_z: 1 } }), { '/input/mesh/elements_z': absent }],
    ['a mesh that is none', input({ mesh: [] }), { '/input/mesh': 'of type object' }],
    [
      'too long a sweep',
      input({ sweep: { points: 402, span_pct: 21 } }),
      { '/input/sweep/points': '<= 401', '/input/sweep/span_pct': '<= 20' },
    ],
    ['a wrong solver', { solver: 'horn-3d', input: HORN }, { '/solver': 'one of horn-2d' }],
    ['no input', {}, { '/input': 'to be present' }],
    ['an input that is none', { input: 'horn' }, { '/input': 'of type object' }],
    ['an unknown field beside it', { input: HORN, priority: 1 }, { '/priority': absent }],
    [
      'several faults',
      { input: { ...HORN, width_mm: -1, material: 'cheese', colour: 1 }, x: 1 },
      { '/x': absent, '/input/colour': absent, '/input/material': /^one of/, '/input/width_mm': '>= 0.1' },
    ],
    ['a list', [], { '': 'of type object' }],
    ['a number', 5, { '': 'of type object' }],
    ['null', null, { '': 'of type object' }],
    ['nothing', undefined, { '': 'of type object' }],
  ]
  for (const [name, body, faults] of cases) {
    const answer = await h.call('POST', '/api/v2/runs', body === undefined ? {} : { body: JSON.stringify(body) })
    t.match(answer, { status: 422, body: { error: 'invalid', message: 'The request is not valid.' } }, name)
    const told = Object.fromEntries(answer.body.detail.map(({ path, expected }: { path: string; expected: string }) => [path, expected]))
    t.match(told, faults, name)
    t.same(Object.keys(told).sort(), Object.keys(faults).sort(), `${name}: these and no others`)
    t.equal(answer.body.detail.length, Object.keys(faults).length)
  }
  const infinite = JSON.stringify({ input: HORN }).replace('"width_mm":25', '"width_mm":1e999')
  t.match(await h.call('POST', '/api/v2/runs', { body: infinite }), { status: 422, body: { detail: [{ path: '/input/width_mm' }] } })
  for (const body of ['{', '', 'horn', '{"__proto__":{}}']) {
    t.match(
      await h.call('POST', '/api/v2/runs', { body }),
      { status: 400, body: { error: 'bad_request', message: /.+/, detail: [] } },
      JSON.stringify(body),
    )
  }
  const tooBig = JSON.stringify({ input: HORN, padding: 'x'.repeat(h.config.MAX_INBOUND_BYTES) })
  t.match(await h.call('POST', '/api/v2/runs', { body: tooBig }), {
    status: 413,
    body: { error: 'too_big', message: /larger/, detail: [] },
  })
  t.match(await h.call('GET', '/api/v2/nothing'), { status: 404, body: { error: 'no_route', detail: [] } })
  t.match(await h.call('GET', '/api/v2/ws/runs/x'), { status: 404, body: { error: 'no_route', detail: [] } }, 'a socket is no page')
  t.same((await h.call('GET', '/api/v2/runs')).body, { runs: [], cursor: null }, 'nothing of all this became a run')
  t.same(h.faults, [])
})

t.test('[JOB-5] the list: own runs, newest first, with a cursor', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  const created: string[] = []
  for (let i = 0; i < 3; i += 1) created.push(await h.submit({ id: `older-${i}` }))
  // Within one millisecond, which no submit over HTTP could promise.
  const created_at = new Date(Date.now() + 5).toISOString()
  const same = ['b', 'B', 'a.1', 'a_1', 'a-1', '0x', 'Z9', 'z'].map((id) => `same-${id}`)
  for (const id of same) await h.nodes[0]?.hub.parts.store.create(job(id, 'alice', created_at), runEvents.status(id, 'queued'))
  await eventually(() => Date.now() > Date.parse(created_at))
  const parallel = await Promise.all(Array.from({ length: 20 }, (_, i) => h.submit({ id: `parallel-${i}` })))
  await h.submit({ id: 'of-bob', sub: 'bob' })
  created.push(...same, ...parallel)

  const list = (query: string, sub = 'alice') => h.call('GET', `/api/v2/runs?${query}`, { sub, node: query.length % 2 })
  const all = (await list('limit=200')).body
  t.equal(all.cursor, null)
  t.same(idsOf(all).sort(), [...created].sort(), 'all of alice and none of bob')
  const times = all.runs.map(({ created_at }: { created_at: string }) => created_at)
  t.same(times, [...times].sort().reverse(), 'newest first')
  t.same(all.runs[0], (await h.call('GET', `/api/v2/runs/${all.runs[0].run_id}`)).body, 'each as it is when asked for alone')
  t.same(idsOf((await list('')).body), idsOf(all), '50 unless told')

  for (const limit of [1, 4, 7, 30, 31]) {
    const paged: string[] = []
    let cursor: string | null = null
    do {
      const { body } = await list(`limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      t.equal(body.runs.length, Math.min(limit, created.length - paged.length), 'full pages')
      paged.push(...idsOf(body))
      cursor = body.cursor
    } while (cursor !== null && paged.length <= created.length)
    t.same(paged, idsOf(all), `by ${limit}: the same, each once`)
  }

  const { body: page } = await list('limit=5')
  await h.submit({ id: 'newest' })
  t.same(
    idsOf((await list(`limit=5&cursor=${page.cursor}`)).body),
    idsOf(all).slice(5, 10),
    'what comes meanwhile does not shift the pages',
  )
  t.equal(idsOf((await list('')).body)[0], 'newest')
  t.same(idsOf((await list('', 'bob')).body), ['of-bob'])
  t.same(idsOf((await list(`cursor=${page.cursor}`, 'bob')).body).length <= 1, true, "another user's cursor opens nothing")

  const refused = ['limit=0', 'limit=201', 'limit=abc', 'limit=1.9', 'limit=', 'limit=true', 'limit=1&limit=2', 'limit=-1']
  const badCursors = [
    'cursor=',
    'cursor=abc',
    'cursor=123',
    'cursor=:a',
    'cursor=1:',
    'cursor=1:a:b',
    'cursor=-1:a',
    `cursor=${'9'.repeat(400)}:a`,
    'cursor=%00',
  ]
  for (const query of [...refused, ...badCursors]) {
    const path = `/querystring/${query.split('=')[0]}`
    t.match(await list(query), { status: 422, body: { error: 'invalid', detail: [{ path, expected: /.+/ }] } }, query)
  }
  t.same(h.faults, [])
})

t.test('[JOB-2] the same submit after the end enqueues nothing', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit({ id: 'ended' })
  const inQueue = () => h.nodes[0]?.hub.parts.queue.state({ kind: 'run', id, round: 1 })
  t.same(await inQueue(), { at: 'waiting' })
  t.same(answerOf(await h.call('POST', `/api/v2/runs/${id}/cancel`)), { status: 202, body: { run_id: id, status: 'cancelled' } })
  t.same(await inQueue(), { at: 'missing' })
  t.match(await h.call('POST', '/api/v2/runs', { body: { run_id: id, input: EXPLICIT } }), { status: 202, body: { status: 'cancelled' } })
  t.same(await inQueue(), { at: 'missing' })
  t.same(h.faults, [])
})

t.test('[JOB-2] a real run over REST ends with its result', async (t) => {
  const h = await startHarness(t, { nodes: 2 })
  const id = await h.submit()
  const ended = await eventually(async () => {
    const { body } = await h.call('GET', `/api/v2/runs/${id}`, { node: 1 })
    return body.result && body
  })
  t.match(ended, { status: 'completed', percent: 100, result: { type: 'completed', metrics_summary: { natural_frequency_hz: Number } } })
  const { body } = await h.call('GET', `/api/v2/runs/${id}/events`, { node: 1 })
  t.ok(body.events.length > 5)
  for (const { type } of body.events) t.ok(type in RUN_MESSAGES)
  t.same(h.faults, [])
})

function answerOf({ status, body }: Answer) {
  return { status, body }
}

function idsOf({ runs }: { runs: { run_id: string }[] }): string[] {
  return runs.map(({ run_id }) => run_id)
}

function job(id: string, owner: string, created_at: string) {
  return { id, kind: 'run', owner, input: JSON.stringify(HORN), digest: '', generation: 'aaaaaaaaaaaa', created_at } as const
}
