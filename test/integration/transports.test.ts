import t, { type Test } from 'tap'
import { JobFailure } from '../../src/worker/processor.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import type { Inbox, Message } from '../support/inbox.js'
import type { RunProcessor } from '../support/kinds.js'
import { SseClient } from '../support/sse-client.js'
import { type Play, Stage } from '../support/stage.js'
import { tokenOf } from '../support/tokens.js'
import { assertComplete, assertShapes, entriesOf, missed, wholeState } from '../support/wire.js'

interface Where {
  readonly node?: number
  readonly sub?: string
  readonly token?: string
  /** Resumes behind this message. */
  readonly after?: { readonly seq: number; readonly epoch: string }
}

/** One way to watch a run. The scenarios below are played over each. */
interface Way {
  readonly name: string
  watch(h: Harness, id: string, where?: Where): Promise<Inbox>
}

const WAYS: readonly Way[] = [
  {
    name: 'WebSocket',
    watch: (h, id, { after, ...where } = {}) =>
      h.connect(id, { ...where, ...(after && { query: `after=${after.seq}&epoch=${after.epoch}` }) }),
  },
  {
    name: 'SSE',
    watch: async (h, id, { after, ...where } = {}) => {
      const client = stream(h, `/api/v2/runs/${id}/events`, where, after && { 'last-event-id': `${after.epoch}:${after.seq}` })
      await client.opened
      return client
    },
  },
]

function stream(
  h: Harness,
  path: string,
  { node = 0, sub, token = h.token(sub) }: Where = {},
  headers: Record<string, string> = {},
): SseClient {
  const client = new SseClient(`${h.nodes[node]?.http}${path}`, { headers: { ...headers, authorization: `Bearer ${token}` } })
  h.onTeardown(() => client.terminate())
  return client
}

/** A run that has begun, and a WebSocket that has watched it since: its entries are what the others are compared with. */
async function begin(h: Harness, stage: Stage): Promise<{ id: string; play: Play; log: Inbox }> {
  const id = await h.submit()
  const play = await stage.play(id)
  const log = await h.connect(id)
  await log.next('status')
  return { id, play, log }
}

function proved(t: Test, clients: readonly Inbox[]): void {
  for (const client of clients) {
    assertShapes(t, client.messages)
    assertComplete(t, client.messages)
  }
}

for (const { name, watch } of WAYS) {
  t.test(`over ${name}`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '16' } })

    t.test('[SSE-2] [CONN-5] [CONN-7] the state, then live; it stays open after the end', async (t) => {
      const { id, play, log } = await begin(h, stage)
      play.job.progress({ percent: 10, phase: 'meshing', message: 'Mesh – größer' })
      play.job.metric('m', 1, 'Hz')
      await log.next('metric_update')
      const clients = [await watch(h, id), await watch(h, id, { node: 1 })]
      for (const client of clients) {
        t.match(await client.next(), { type: 'status', run_id: id, status: 'running', recovered: false, metrics: { m: { value: 1 } } })
        const state = wholeState(entriesOf(log.messages), client.messages[0].seq)
        for (const expected of state) t.same(await client.next(), expected)
      }
      play.job.metric('m', 2, 'Hz')
      for (const client of clients) t.match(await client.next('metric_update'), { value: 2 })
      play.complete({ m: 2 })
      const final = await log.next('completed')
      const late = await watch(h, id, { node: 1 })
      for (const client of [...clients, late]) {
        t.same(await client.next('completed'), final)
        await client.silence(50)
      }
      proved(t, [...clients, late])
      for (const client of clients) {
        const texts = new Set((log as Inbox).texts)
        for (const text of client.texts.slice(1)) t.ok(texts.has(text), 'the same bytes as over any other socket')
      }
    })

    t.test('[SSE-3] [POS-4] who comes back gets exactly what was missed, on any node', async (t) => {
      const { id, play, log } = await begin(h, stage)
      const { epoch, seq: first } = log.messages[0]
      for (let i = 1; i <= 4; i += 1) {
        play.job.progress({ percent: i, phase: 'solving', message: '' })
        if (i !== 3) play.job.metric('m', i, '1')
        await log.next('progress')
      }
      const comesBack = async (now: number) => {
        const entries = entriesOf(log.messages)
        for (let after = first; after <= now; after += 1) {
          const client = await watch(h, id, { node: after % 2, after: { seq: after, epoch } })
          t.match(await client.next(), { type: 'status', recovered: true, seq: now, epoch }, `after ${after}`)
          const expected = missed(entries, after, now)
          await eventually(() => client.messages.length > expected.length)
          t.same(client.messages.slice(1), expected, `after ${after} of ${now}`)
          client.terminate()
        }
      }
      await eventually(() => log.messages.at(-1).seq === 9)
      await comesBack(9)
      const waiting = await watch(h, id, { after: { seq: 9, epoch } })
      play.complete()
      await log.next('completed')
      await comesBack(10)
      t.match(await waiting.next('completed'), { seq: 10 })
      proved(t, [waiting])
      for (const wrong of [
        { seq: 11, epoch },
        { seq: 3, epoch: 'another' },
      ]) {
        t.match(await (await watch(h, id, { after: wrong })).next(), { recovered: false, seq: 10, status: 'completed' })
      }
    })

    t.test('a cancel is seen, and so is the next round on the same connection', async (t) => {
      const { id } = await begin(h, stage)
      const client = await watch(h, id, { node: 1 })
      await client.next('status')
      await h.call('POST', `/api/v2/runs/${id}/cancel`)
      t.match(await client.next(), { type: 'status', status: 'cancelling' })
      t.match(await client.next(), { type: 'cancelled' })
      await h.call('POST', `/api/v2/runs/${id}/retry`)
      t.match(await client.next(), { type: 'status', status: 'queued' })
      t.match(await client.next(), { type: 'status', status: 'running' })
      const play = await eventually(() => stage.playsOf(id)[1])
      play.fail(new JobFailure('solver_error', 'again'))
      t.match(await client.next('error'), { error: 'again' })
      proved(t, [client])
    })

    t.test('when the client leaves, so does its session', async (t) => {
      const { id, log } = await begin(h, stage)
      const sessions = h.nodes[1]?.hub.server.sessions
      const before = sessions?.size ?? 0
      const client = await watch(h, id, { node: 1 })
      await client.next('status')
      t.equal(sessions?.size, before + 1)
      client.terminate()
      await eventually(() => sessions?.size === before)
      log.terminate()
    })

    t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
  })

  t.test(`over ${name}: [CONN-10] [SSE-5] when the token runs out it is said before, and the end has its reason`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor, env: { EXPIRY_WARNING_MS: '1000', EXPIRY_GRACE_MS: '500' } })
    const { id, play } = await begin(h, stage)
    const client = await watch(h, id, { token: h.token('alice', { seconds: 2 }) })
    await client.next('status')
    t.match(await client.next('token_expiring'), { expires_at: /^\d{4}-/ })
    t.match(await client.closed, { code: 4001, reason: /expired/ })
    const told = client.messages.length
    play.complete()
    await (await watch(h, id)).next('completed')
    t.equal(client.messages.length, told, 'no message after')
    t.same(h.faults, [])
  })

  t.test(`over ${name}: [REV-1] [SSE-5] a revoked token ends it with the reason`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { nodes: 2, processor: stage.processor })
    const { id } = await begin(h, stage)
    const exp = Math.floor(Date.now() / 1000) + 600
    const token = tokenOf({ sub: 'alice', jti: 'lost', exp })
    const [client, other] = [await watch(h, id, { token }), await watch(h, id)]
    for (const watching of [client, other]) await watching.next('status')
    await h.call('POST', '/api/revocations', { node: 1, body: { jti: 'lost' }, token: tokenOf({ sub: 'root', role: 'admin', exp }) })
    t.match(await client.closed, { code: 4001, reason: /revoked/ })
    await h.call('POST', `/api/v2/runs/${id}/cancel`)
    await other.next('cancelled')
    t.notOk(client.messages.some(({ type }) => type === 'cancelled'))
    t.same(h.faults, [])
  })

  t.test(`over ${name}: [OPS-3] [SSE-5] a node that stops says so`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const { id } = await begin(h, stage)
    const client = await watch(h, id)
    await client.next('status')
    await h.nodes[0]?.hub.server.close()
    t.match(await client.closed, { code: 1012, reason: /stopping/ })
    t.same(h.faults, [])
  })

  t.test(`over ${name}: [SLOW-2] [SLOW-4] [SSE-6] a client that stops reading gets a fresh snapshot, and the right end`, async (t) => {
    const h = await startHarness(t, { processor: chatty, env: { MAX_OUTBOX_BYTES: '65536', MAX_LOG_ENTRIES: '1000', MAX_SERIES: '1' } })
    const id = await h.submit()
    const [slow, fast] = [await watch(h, id), await watch(h, id)]
    await slow.next('status')
    slow.pause()
    const completed = await fast.next('completed')
    const backlogs = [...(h.nodes[0]?.hub.server.sessions ?? [])].map(({ backlogBytes }) => backlogBytes)
    t.ok(Math.max(...backlogs) <= 3 * 65_536, `${backlogs.join()} bytes wait`)
    slow.resume()
    t.same(await slow.next('completed'), completed)
    const resync: Message = slow.messages.findLast((message) => message.resync)
    t.match(resync, { type: 'status', resync: true, recovered: false })
    t.equal(slow.messages.at(-1).type, 'completed')
    t.same(h.faults, [])
  })
}

for (const { name, watch } of WAYS) {
  t.test(`over ${name}: [SLOW-3] [SSE-6] a client that drains nothing is left, and others are not disturbed`, async (t) => {
    const h = await startHarness(t, { processor: chatty, env: { MAX_OUTBOX_BYTES: '65536', STALL_MS: '1000', MAX_SERIES: '1' } })
    const id = await h.submit()
    const [dead, fast] = [await watch(h, id), await watch(h, id)]
    await dead.next('status')
    dead.pause()
    await fast.next('completed')
    await eventually(() => h.nodes[0]?.hub.server.sessions.size === 1)
    t.same(h.faults, [])
  })
}

/** Some 12 MB of durable entries: more than the kernel's buffers take for a client that does not read. */
const METRICS = 40_000
const chatty: RunProcessor = async (_input, job) => {
  for (let i = 0; i < METRICS; i += 1) {
    job.metric(`m${i % 50}_`.padEnd(64, 'x'), i, 'x'.repeat(32))
    if (i % 200 === 0) await job.flush()
    if (job.signal.aborted) throw job.signal.reason
  }
  return { metrics_summary: { count: METRICS } }
}

t.test('[SSE-1] [SSE-5] a stream takes a place like a socket: of the node before it begins, of its user after', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_SOCKETS: '2', MAX_SOCKETS_PER_USER: '1' } })
  const id = await h.submit()
  const path = `/api/v2/runs/${id}/events`
  const first = stream(h, path)
  await first.next('status')
  t.match(await stream(h, path).closed, { code: 4008, name: 'too_many_sockets' })
  const second = stream(h, path, { token: tokenOf({ sub: 'root', role: 'admin', exp: Math.floor(Date.now() / 1000) + 60 }) })
  await second.next('status')
  const headers = { accept: 'text/event-stream' }
  const full = await h.call('GET', path, { headers })
  t.match(full, { status: 503, body: { error: 'overloaded' } })
  t.match(full.headers.get('retry-after'), /^\d+$/)
  t.match(await h.call('GET', path), { status: 200 }, 'a page needs no place')
  second.terminate()
  first.terminate()
  await eventually(() => h.nodes[0]?.hub.server.sessions.size === 0)
  const again = stream(h, path)
  await again.next('status')
  const drained = h.nodes[0]?.hub.server.drain()
  t.match(await h.call('GET', path, { headers }), { status: 503, body: { error: 'restart' } })
  t.match(await again.closed, { code: 1012, name: 'restart', reconnect: true })
  await drained
  t.same(h.faults, [])
})

t.test('streams alone', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, {
    processor: stage.processor,
    env: { WORKER_CONCURRENCY: '16', PING_INTERVAL_MS: '200', IDLE_MS: '1000' },
  })

  t.test('[SSE-1] what can be refused in plain HTTP is; without Accept the same address is a JSON page', async (t) => {
    const { id } = await begin(h, stage)
    const path = `/api/v2/runs/${id}/events`
    const headers = { accept: 'text/event-stream' }
    t.match(await h.call('GET', path, { headers, token: null }), { status: 401, body: { error: 'unauthenticated' } })
    t.match(await h.call('GET', path, { headers, token: 'garbage' }), { status: 401, body: { error: 'unauthenticated' } })
    t.match(await h.call('GET', path, { headers, sub: 'bob' }), { status: 404, body: { error: 'not_found' } })
    t.match(await h.call('GET', '/api/v2/runs/nothing/events', { headers }), { status: 404, body: { error: 'not_found' } })
    t.match(await h.call('GET', `${path}?after=-1`, { headers }), { status: 422, body: { error: 'invalid' } })
    const page = await h.call('GET', path, { headers: { accept: 'application/json, text/event-stream' } })
    t.match(page, { status: 200, body: { run_id: id, events: Array } })
    t.match(page.headers.get('content-type'), /^application\/json/)
    t.equal(page.headers.get('vary'), 'accept')
    const head = await fetch(`${h.nodes[0]?.http}${path}`, {
      method: 'HEAD',
      headers: { ...headers, authorization: `Bearer ${h.token()}` },
    })
    t.equal(head.status, 200)

    const client = new SseClient(`${h.nodes[0]?.http}${path}?token=${h.token()}`)
    const answer = await client.opened
    t.match(answer.headers, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', vary: 'accept' })
    await client.next('status')
    client.terminate()
  })

  t.test('[SSE-3] an EventSource that connects again sends the id of the last event, and misses nothing', async (t) => {
    const { id, play } = await begin(h, stage)
    const path = `/api/v2/runs/${id}/events`
    play.job.metric('m', 0, '1')
    const got: number[] = []
    let lastEventId = ''
    for (let i = 1; i <= 5; i += 1) {
      const client: SseClient = stream(h, path, {}, lastEventId ? { 'last-event-id': lastEventId } : {})
      t.match(await client.next('status'), { recovered: i > 1 })
      play.job.metric('m', i, '1')
      await eventually(() => client.messages.at(-1).value === i)
      got.push(...client.messages.flatMap(({ value }) => value ?? []))
      lastEventId = client.lastEventId
      t.equal(lastEventId, `${client.messages[0].epoch}:${client.messages.at(-1).seq}`)
      t.equal(client.events.find(({ data }) => data?.includes('recovered'))?.id, undefined, 'a snapshot has none')
      client.terminate()
      play.job.metric('m', i + 0.5, '1')
    }
    t.same(got, [0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    const { body } = await h.call('GET', `/api/v2/runs/${id}`)
    for (const query of [`last_event_id=${lastEventId}`, `after=${lastEventId.split(':')[1]}&epoch=${body.epoch}`]) {
      const client = stream(h, `${path}?${query}`)
      t.match(await client.next('status'), { recovered: true })
      t.match(await client.next(), { value: 5.5 })
      client.terminate()
    }
    play.complete()
  })

  t.test('[SSE-4] who only listens lives by the heartbeats', async (t) => {
    const { id, play } = await begin(h, stage)
    const client = stream(h, `/api/v2/runs/${id}/events`)
    await eventually(() => client.events.filter(({ event }) => event === 'heartbeat').length > 8)
    t.equal(client.closing, undefined, 'longer than a client may be silent')
    play.complete()
    await client.next('completed')
  })

  t.test('[SSE-7] any process has its stream, in the process dialect', async (t) => {
    const { id, play } = await begin(h, stage)
    play.job.metric('m', 1, '1')
    const client = stream(h, `/api/processes/${id}/events`)
    t.match(await client.next(), {
      type: 'subscribed',
      process_id: id,
      recovered: false,
      process: { status: 'running', process_type: 'solver' },
    })
    play.job.progress({ percent: 50, phase: 'solving', message: 'Half way' })
    const progress = await client.next('process_progress')
    t.match(progress, { progress: { current: 50, total: 100, detail: 'Half way' } })
    t.equal(client.lastEventId, `${client.messages[0].epoch}:${progress.seq}`)
    play.complete({ m: 1 })
    t.match(await client.next('process_completed'), { result: { m: 1 } })
    await client.silence(50)
    t.match(await h.call('GET', `/api/processes/${id}/events`, { sub: 'bob', headers: { accept: 'text/event-stream' } }), { status: 404 })
  })

  t.test('[SSE-8] a submit is answered with the stream of its job, up to the final message', async (t) => {
    const submit = (body: object, headers: Record<string, string> = {}) => {
      const json = { 'content-type': 'application/json', authorization: `Bearer ${h.token()}`, ...headers }
      const client = new SseClient(`${h.nodes[0]?.http}/api/v2/runs`, { method: 'POST', headers: json, body: JSON.stringify(body) })
      h.onTeardown(() => client.terminate())
      return client
    }
    const client = submit({ run_id: 'streamed', input: HORN })
    t.match((await client.opened).headers, { location: '/api/v2/runs/streamed', 'content-type': /^text\/event-stream/ })
    t.match(await client.next(), { type: 'status', run_id: 'streamed', recovered: true })
    t.match(client.events[0], { retry: /\d+/ })
    const play = await stage.play('streamed')
    play.job.metric('m', 1, 'Hz')
    await client.next('metric_update')
    const [again, lost] = [submit({ run_id: 'streamed', input: HORN }), submit({ run_id: 'streamed', input: HORN })]
    for (const other of [again, lost]) t.match(await other.next(), { type: 'status', status: 'running', seq: 3 })
    lost.terminate()
    await lost.closed
    play.complete({ m: 1 })
    for (const other of [client, again]) {
      t.match(await other.next('completed'), { metrics_summary: { m: 1 } })
      t.match(await other.closed, { code: 1000, name: 'done', reconnect: false })
    }
    proved(t, [client, again])
    const late = submit({ run_id: 'streamed', input: HORN })
    t.match(await late.next('completed'), { metrics_summary: { m: 1 } }, 'also after the end')
    t.match(await late.closed, { name: 'done' })
    t.equal(stage.playsOf('streamed').length, 1)

    const refused: [body: object, headers: Record<string, string>, status: number][] = [
      [{ input: {} }, {}, 422],
      [{ run_id: 'streamed', input: { ...HORN, width_mm: 30 } }, {}, 409],
      [{ input: HORN }, { authorization: 'Bearer x' }, 401],
      [{ input: HORN }, { 'idempotency-key': 'a b' }, 422],
    ]
    for (const [body, headers, status] of refused) {
      const answer = await submit(body, headers).opened
      t.match({ status: answer.statusCode, type: answer.headers['content-type'] }, { status, type: /^application\/json/ })
    }
    const keyed = [submit({ input: HORN }, { 'idempotency-key': 'k' }), submit({ input: HORN }, { 'idempotency-key': 'k' })]
    const ids = await Promise.all(keyed.map(async (one) => (await one.next()).run_id))
    t.equal(ids[0], ids[1])
    await h.call('POST', `/api/v2/runs/${ids[0]}/cancel`)
    for (const one of keyed) {
      await one.next('cancelled')
      t.match(await one.closed, { name: 'done' })
    }
  })

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})
