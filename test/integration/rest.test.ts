import t from 'tap'
import { RUN_MESSAGES } from '../../src/protocol/run-messages.js'
import { eventually } from '../support/eventually.js'
import { type Answer, HORN, startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import { tokenOf } from '../support/tokens.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

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
    const token = tokenOf({ sub: 'carol', role: 'admin', exp: Math.floor(Date.now() / 1000) + 60 })
    t.match(await h.call('GET', `/api/v2/runs/${id}`, { token }), { status: 200, body: { run_id: id, status: 'running' } })
    t.match(await h.call('GET', `/api/v2/runs/${id}/events`, { token }), { status: 200 })
    t.same((await h.call('GET', '/api/v2/runs', { token })).body.runs, [], 'the list is of own runs')
    t.same(answerOf(await h.call('POST', `/api/v2/runs/${id}/cancel`, { token })), {
      status: 202,
      body: { run_id: id, status: 'cancelling' },
    })
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'cancelled')
    const final = { status: 409, body: { error: 'already_final', message: 'The job has already ended.', detail: [] } }
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
      ...{ run_id: id, status: 'running', attempt: 1, stale: false, percent: 40, phase: 'solving', message: 'Half way', elapsed_s },
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

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})

t.test('[JOB-4] input that is not valid: 422 with the path of each faulty field and what is expected there', async (t) => {
  const h = await startHarness(t, { processor: null })
  const input = (change: object) => ({ input: { ...HORN, ...change } })
  const without = (field: string) => ({ input: Object.fromEntries(Object.entries(HORN).filter(([name]) => name !== field)) })
  const absent = 'to be absent (unknown property)'
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
    ['no tip of a stepped horn', input({ profile: 'stepped' }), { '/input/tip_thickness_mm': /^a number: required for/ }],
    ['no tip of an exponential horn', input({ profile: 'exponential' }), { '/input/tip_thickness_mm': /^a number: / }],
    ['another tip of a uniform horn', input({ tip_thickness_mm: 9 }), { '/input/tip_thickness_mm': /^to be absent, or equal/ }],
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
    ['an unknown field beside it', { input: HORN, urgency: 1 }, { '/urgency': absent }],
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
  for (const body of ['{', 'horn']) {
    t.match(
      await h.call('POST', '/api/v2/runs', { body }),
      { status: 400, body: { error: 'bad_request', message: /^The body is not JSON/, detail: [] } },
      JSON.stringify(body),
    )
  }
  const noUtf8 = await fetch(`${h.nodes[0]?.http}/api/v2/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${h.token()}`, 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ run_id: 'né', input: HORN }), 'latin1'),
  })
  t.match(await noUtf8.json(), { error: 'bad_request', message: 'The body is not valid UTF-8.' })
  t.match(await h.call('POST', '/api/v2/runs', { body: '' }), { status: 422, body: { detail: [{ path: '' }] } })
  const proto = await h.call('POST', '/api/v2/runs', { body: '{"__proto__":{}}' })
  t.match(proto, { status: 422, body: { detail: [{ path: '/input' }, { path: '/__proto__', expected: absent }] } })
  const tooBig = JSON.stringify({ input: HORN, padding: 'x'.repeat(h.config.MAX_INBOUND_BYTES) })
  t.match(await h.call('POST', '/api/v2/runs', { body: tooBig }), {
    status: 413,
    body: { error: 'too_big', message: /exceeds the size limit/, detail: [] },
  })
  t.match(await h.call('GET', '/api/v2/nothing'), { status: 404, body: { error: 'no_route', detail: [] } })
  t.match(await h.call('GET', '/api/v2/ws/runs/x'), { status: 404, body: { error: 'no_route', detail: [] } }, 'a socket is no page')
  t.same((await h.call('GET', '/api/v2/runs')).body, { runs: [], cursor: null }, 'nothing of all this became a run')
  t.same(h.faults, [])
})

t.test('[JOB-2] the same submit after the end enqueues nothing', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit({ id: 'ended' })
  const inQueue = () => h.nodes[0]?.hub.parts.queue.state({ queue: 'run', id, round: 1 })
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

/** Without what differs between two equal requests. */
function answerOf({ status, body: { request_id: _id, ...body } }: Answer) {
  return { status, body }
}
