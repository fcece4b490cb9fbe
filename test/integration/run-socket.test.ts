import t from 'tap'
import { JobFailure } from '../../src/worker/processor.js'
import { solveRun } from '../../workers/solver/horn-2d.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { type Play, Stage } from '../support/stage.js'
import type { TestClient } from '../support/test-client.js'
import { assertComplete, assertShapes, entriesOf, isSnapshot, missed, textsBySeq, wholeState } from '../support/wire.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

t.test('[CONN-5] [CONN-6] [CONN-8] a real run, watched from its beginning on two nodes', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, {
    nodes: 2,
    processor: (input, job) => (job.id === 'before' ? stage.processor(input, job) : solveRun(input, job)),
    env: { WORKER_CONCURRENCY: '1' },
  })
  const before = await stage.play(await h.submit({ id: 'before' }))
  const id = await h.submit()
  const clients = [await h.connect(id), await h.connect(id, { node: 1 }), await h.connect(id, { node: 1 })]
  for (const client of clients) {
    const snapshot = await client.next()
    const { created_at, epoch, timestamp } = snapshot
    t.same(snapshot, {
      ...{
        type: 'status',
        run_id: id,
        status: 'queued',
        attempt: 1,
        stale: false,
        percent: null,
        phase: null,
        message: null,
        elapsed_s: null,
      },
      ...{ metrics: {}, created_at, started_at: null, finished_at: null, seq: 1, epoch, recovered: false, timestamp },
    })
  }
  t.equal(new Set(clients.map(({ messages }) => messages[0].epoch)).size, 1, 'one epoch, whatever the node')
  before.complete()
  for (const client of clients) await client.next('completed')

  const [first] = clients
  const log = entriesOf(first?.messages ?? [])
  for (const client of clients) {
    assertShapes(t, client.messages)
    assertComplete(t, client.messages)
    t.same(client.messages.filter(isSnapshot).length, 1)
    for (const [seq, text] of textsBySeq(client)) t.equal(text, textsBySeq(first ?? client).get(seq), `the bytes of ${seq}`)
    t.equal(textsBySeq(client).size, log.length)
  }
  t.same(
    log.map(({ seq }) => seq),
    Array.from({ length: log.length }, (_, i) => i + 2),
    'nobody was slow, so each entry came',
  )
  t.match(log[0], { type: 'status', status: 'running', attempt: 1 })
  t.same(new Set(log.map(({ type }) => type)), new Set(['status', 'progress', 'metric_update', 'completed']))
  const percents = log.filter(({ type }) => type === 'progress').map(({ percent }) => percent)
  t.same(
    percents,
    [...percents].sort((a, b) => a - b),
    '[STATE-6] the bar never falls',
  )
  t.ok(percents.every((percent) => percent < 100))
  t.match(log.at(-1), { type: 'completed', percent: 100 })
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.same(
    events.slice(1),
    log.filter(({ type }) => type !== 'progress'),
    'what REST pages through are the same messages',
  )
  t.same(h.faults, [])
})

t.test('[CONN-4] a socket of another kind is closed with 4004, as REST answers 404', async (t) => {
  const h = await startHarness(t, { processor: null })
  const optimization = { variables: [{ name: 'width_mm', min: 20, max: 30 }], objectives: [{ metric: 'gain', direction: 'maximize' }] }
  const ids = {
    runs: await h.submit(),
    optimizations: (await h.call('POST', '/api/v2/optimizations', { body: { ...optimization, base: HORN } })).body.optimization_id,
    benchmark: (await h.call('POST', '/api/benchmark', { body: { models: ['local/ngram'] } })).body.process_id,
  }
  for (const path of ['runs', 'optimizations'] as const) {
    for (const [kind, id] of Object.entries(ids)) {
      const { status } = await h.call('GET', `/api/v2/${path}/${id}`)
      const client = await h.connect(id, { path })
      if (kind === path) t.match([status, await client.next()], [200, { type: 'status' }], path)
      else t.match([status, await client.closed], [404, { code: 4004, reason: 'There is no such job.' }], `${kind} at ${path}`)
    }
  }
  t.same(h.faults, [], 'which is no fault of the server')
})

t.test('a run on a stage', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 3, processor: stage.processor, env: { WORKER_CONCURRENCY: '16' } })

  t.test('[CONN-5] whoever connects in the middle gets the latest per key, then everything', async (t) => {
    const { id, play, log } = await begin(h, stage)
    const late: TestClient[] = []
    for (let round = 1; round <= 40; round += 1) {
      play.job.progress({ percent: round, phase: 'solving', message: `round ${round}` })
      const connecting = h.connect(id, { node: round % 2 })
      for (let i = 0; i < 6; i += 1) play.job.metric(`m${(round * i) % 9}`, round * 10 + i, '1')
      late.push(await connecting)
      await log.next('metric_update')
    }
    play.complete({ done: 1 })
    await log.next('completed')
    const entries = entriesOf(log.messages)
    t.equal(assertComplete(t, log.messages), entries.at(-1).seq - log.messages[0].seq, 'the log has every entry')
    let tookTurns = 0
    for (const client of late) {
      await client.next('completed')
      assertShapes(t, client.messages)
      const live = assertComplete(t, client.messages)
      const [snapshot, ...rest] = client.messages
      t.same(rest, [...wholeState(entries, snapshot.seq), ...entries.filter(({ seq }) => seq > snapshot.seq)], `from ${snapshot.seq}`)
      if (live > 1 && rest.length > live) tookTurns += 1
    }
    t.ok(tookTurns > 20, `${tookTurns} came in the middle`)
  })

  t.test('[CONN-6] the snapshot tells the whole state; a new attempt begins with nothing', async (t) => {
    const { id, play, log } = await begin(h, stage)
    play.job.progress({ percent: 12.34, phase: 'meshing', message: 'Mesh' })
    await log.next('progress')
    play.job.metric('b', 1, 'Hz')
    play.job.metric('a', 2, 'mm')
    play.job.metric('b', 3, 'Hz')
    await eventually(() => log.messages.at(-1).value === 3)
    const client = await h.connect(id, { node: 1 })
    const snapshot = await client.next()
    const { created_at, started_at, elapsed_s, timestamp, epoch } = snapshot
    t.same(snapshot, {
      ...{
        type: 'status',
        run_id: id,
        status: 'running',
        attempt: 1,
        stale: false,
        percent: 12.3,
        phase: 'meshing',
        message: 'Mesh',
        elapsed_s,
      },
      ...{ metrics: { b: { value: 3, unit: 'Hz' }, a: { value: 2, unit: 'mm' } }, created_at, started_at, finished_at: null },
      ...{ seq: 6, epoch, recovered: false, timestamp },
    })
    t.match(await client.next(), { type: 'progress', seq: 3 })
    t.match(await client.next(), { type: 'metric_update', metric_name: 'a', seq: 5 })
    t.match(await client.next(), { type: 'metric_update', metric_name: 'b', value: 3, seq: 6 })

    play.fail(new Error('a passing fault'))
    const again = await eventually(() => stage.playsOf(id)[1])
    for (const watching of [client, log]) {
      t.match(await watching.next('status'), { status: 'retrying', attempt: 2, reason: 'a passing fault' })
      t.match(await watching.next('status'), { status: 'running', attempt: 2 })
    }
    const later = await h.connect(id)
    const fresh = await later.next()
    t.match(fresh, { status: 'running', attempt: 2, percent: null, phase: null, message: null, elapsed_s: null, started_at })
    t.same(fresh.metrics, {}, 'what the first attempt measured is void')
    await later.silence(50)
    again.job.metric('a', 4, 'mm')
    t.match(await later.next(), { type: 'metric_update', value: 4 })
    for (const watching of [client, log, later]) assertShapes(t, watching.messages)
  })

  t.test('[CONN-7] after a final message the socket stays open; whoever comes later gets snapshot and final message', async (t) => {
    const ends: [name: string, end: (play: Play, client: TestClient) => void, final: object][] = [
      ['completed', (play) => play.complete({ x: 1 }), { type: 'completed', status: 'completed', metrics_summary: { x: 1 }, percent: 100 }],
      [
        'failed',
        (play) => play.fail(new JobFailure('timeout', 'Too late.')),
        { type: 'error', error: 'Too late.', code: 'timeout', percent: 50 },
      ],
      ['cancelled', (_play, client) => client.send({ type: 'cancel' }), { type: 'cancelled', percent: 50 }],
    ]
    for (const [status, end, final] of ends) {
      const { id, play, log } = await begin(h, stage)
      play.job.log('one line')
      play.job.progress({ percent: 50, phase: 'solving', message: 'Half way' })
      play.job.metric('x', 1, '1')
      await log.next('metric_update')
      await eventually(() => log.messages.some(({ type }) => type === 'progress'))
      end(play, log)
      const message = await log.next(String(Object(final).type))
      t.match(message, { ...final, phase: 'solving' })
      if (status === 'failed') t.equal(message.solver_log_tail, 'one line')
      // Node 2 has never heard of this run.
      for (const node of [0, 2]) {
        const late = await h.connect(id, { node })
        const snapshot = await late.next()
        t.match(snapshot, { status, seq: message.seq, recovered: false, percent: message.percent, phase: 'solving', message: 'Half way' })
        t.ok(snapshot.finished_at >= snapshot.started_at)
        const state = wholeState(entriesOf(log.messages), message.seq)
        for (const expected of state) t.same(await late.next(), expected)
        t.same(state.at(-1), message, 'the final message comes last')
        await late.silence(50)
        late.send({ type: 'ping' })
        t.same(await late.next(), { type: 'pong' })
        late.send({ type: 'cancel' })
        t.match(await late.next(), { type: 'refused', request: 'cancel', code: 'already_final', message: 'The job has already ended.' })
        assertShapes(t, late.messages)
      }
      log.send({ type: 'ping' })
      t.same(await log.next(), { type: 'pong' }, 'nothing follows the final message')
      assertComplete(t, log.messages)
    }
  })

  t.test(
    '[POS-4] [POS-5] a client that comes back gets exactly what it missed, in the middle and after the end, on any node',
    async (t) => {
      const { id, play, log } = await begin(h, stage)
      const { epoch } = log.messages[0]
      const comesBack = async () => {
        const entries = entriesOf(log.messages)
        const { seq: now } = entries.at(-1)
        const back: TestClient[] = []
        for (const node of [0, 1, 2]) {
          for (let after = log.messages[0].seq; after <= now; after += 1) {
            const client = await h.connect(id, { node, query: `after=${after}&epoch=${epoch}` })
            t.match(await client.next(), { type: 'status', recovered: true, seq: now, epoch }, `after ${after} on node ${node}`)
            const expected = missed(entries, after, now)
            await eventually(() => client.messages.length > expected.length)
            t.same(client.messages.slice(1), expected, `after ${after} of ${now} on node ${node}`)
            back.push(client)
          }
        }
        return back
      }
      for (let i = 1; i <= 4; i += 1) {
        play.job.progress({ percent: i, phase: 'solving', message: '' })
        if (i !== 3) play.job.metric('m', i, '1')
        await log.next('progress')
      }
      await eventually(() => log.messages.at(-1).seq === 9)
      const back = await comesBack()
      play.job.metric('m', 5, '1')
      for (const client of back) await eventually(() => client.messages.at(-1).value === 5)
      play.complete()
      for (const client of [log, ...back]) {
        await client.next('completed')
        assertShapes(t, client.messages)
        assertComplete(t, client.messages)
        t.equal(client.messages.filter(({ value }) => value === 5).length, 1)
      }
      await comesBack()
    },
  )

  t.test('[POS-5] what is no position of this count is as good as none: the whole state', async (t) => {
    const { id, play, log } = await begin(h, stage)
    const { epoch } = log.messages[0]
    for (let i = 1; i <= 3; i += 1) play.job.metric(`m${i % 2}`, i, '1')
    await eventually(() => log.messages.at(-1).value === 3)
    const entries = entriesOf(log.messages)
    const seq = entries.at(-1).seq
    const positions = ['abc', '-1', '1.5', '', '1e0', '0x1', ' 1', '1 ', '%00', `${seq + 1}`, '99999999999999999999', '1&after=1']
    const queries = positions.map((after) => `after=${after}&epoch=${epoch}`)
    queries.push(
      'after=1',
      `epoch=${epoch}`,
      'after=1&epoch=',
      'after=1&epoch=another',
      `after=1&epoch=${epoch}x`,
      `after=1&epoch=${epoch.slice(0, -1)}G`,
    )
    queries.push(`after=1&epoch=${epoch}&epoch=${epoch}`, `after=1&epoch=${epoch.slice(1)}`, `after=1&epoch=-${epoch}`)
    for (const query of queries) {
      for (const node of [0, 1]) {
        const client = await h.connect(id, { node, query })
        t.match(await client.next(), { type: 'status', recovered: false, seq, epoch }, query)
        const state = wholeState(entries, seq)
        await eventually(() => client.messages.length > state.length)
        t.same(client.messages.slice(1), state, query)
      }
    }
    const none = await h.connect(id, { query: `after=${seq}&epoch=${epoch}` })
    t.match(await none.next(), { recovered: true, seq }, 'for comparison: a position, with nothing missed')
    await none.silence(50)
  })

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})

/** A run that has begun, and a client that has watched it since: its entries are what the others are compared with. */
async function begin(h: Harness, stage: Stage): Promise<{ id: string; play: Play; log: TestClient }> {
  const id = await h.submit()
  const play = await stage.play(id)
  const log = await h.connect(id)
  await log.next('status')
  return { id, play, log }
}
