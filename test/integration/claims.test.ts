import { EventEmitter, once } from 'node:events'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { signToken } from '../../src/cli/token.js'
import { fencingWriter } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { START_N } from '../../src/jobs/claims/claim-post.js'
import { MAX_POSTS_PER_SECOND } from '../../src/protocol/claim-messages.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { Claimant, workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, SECRET, startHarness } from '../support/harness.js'
import { startLateWorker } from '../support/late-worker.js'
import { startTestRedis, type TestRedis } from '../support/redis.js'
import { setClock } from '../support/set-clock.js'
import { solversFile } from '../support/solvers.js'
import { Stage } from '../support/stage.js'
import type { Message, TestClient } from '../support/test-client.js'
import { assertComplete } from '../support/wire.js'

// They mostly wait, each on a harness of its own.
t.jobs = 2

const progress = (percent: number) => ({ type: 'progress', percent, phase: 'solving', message: `${percent}` })
const metric = (value: number) => ({ type: 'metric_update', metric_name: 'f', value, unit: 'Hz' })
const COMPLETED = { type: 'completed', metrics_summary: { f: 3 } }
const STALE = { status: 409, body: { error: 'stale_writer' } }
/** A short lease, so that what is lost is found soon. */
const SHORT = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200' }

/** Nobody computes runs but whoever claims them. */
function start(t: Test, env: Readonly<Record<string, string>> = {}, redis?: TestRedis): Promise<Harness> {
  return startHarness(t, { ...(redis && { redis }), processor: null, nodes: 2, env })
}

async function untilStatus(client: TestClient, status: string): Promise<Message> {
  for (;;) {
    const message = await client.next('status')
    if (message.status === status && message.recovered === undefined) return message
  }
}

function partsOf(h: Harness, node = 0) {
  const parts = h.nodes[node]?.hub.parts
  if (!parts) throw new Error('no node')
  return parts
}

/** What the keys of the queues begin with. */
function queuesOf(h: Harness): string {
  return new RedisKeys(h.config.REDIS_PREFIX).queues()
}

function openRedis(t: Test, h: Harness): Redis {
  const redis = new Redis(h.redis.url)
  t.teardown(() => redis.disconnect())
  return redis
}

t.test(
  '[CLAIM-1] [CLAIM-2] a run is claimed on one hub and told of on another: whoever watches sees a worker like any other',
  async (t) => {
    const h = await start(t)
    const worker = new Claimant(h)
    const id = await h.submit()
    const client = await h.connect(id, { node: 1 })
    const { status, body } = await worker.claim({ node: 0 })
    t.equal(status, 200)
    t.match(body, { id, kind: 'run', input: HORN, round: 1, attempt: 1, max_attempts: 3, lease_s: 10 })
    t.equal(body.input.target_frequency_hz, 20_000, 'with its defaults')
    const started = await untilStatus(client, 'running')
    t.equal(Date.parse(body.deadline) - Date.parse(started.timestamp) <= 3600_000 && Date.parse(body.deadline) > Date.now(), true)

    const first = await worker.post([progress(10), metric(1), progress(20.04), metric(2)], { node: 1 })
    t.match(first, { status: 200, body: { status: 'running', cancel_requested: false, lease_s: 10 } })
    t.match(await client.next('metric_update'), { value: 1 })
    const tick = await client.next('progress')
    t.match(tick, { percent: 20, phase: 'solving', message: '20.04' }, 'of two ticks in a post the last')
    t.type(tick.elapsed_s, 'number')
    const last = await client.next('metric_update')
    t.match(last, { value: 2 })
    t.equal(first.body.seq, last.seq)
    await worker.post([progress(5), progress(100)], { node: 0 })
    t.match(await client.next('progress'), { percent: 99.9 })
    await worker.post([progress(7)], { node: 1 })
    t.match(await client.next('progress'), { percent: 99.9 }, 'it never falls, whatever hub takes it')

    t.match(await worker.post([metric(3), COMPLETED], { node: 1 }), { status: 200, body: { status: 'completed', cancel_requested: false } })
    const final = await client.next('completed')
    t.match(final, { metrics_summary: { f: 3 }, percent: 100, attempts: 1, compute_time_s: Number, duration_s: Number })
    assertComplete(t, client.messages)
    t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'completed')
    t.equal(await partsOf(h).backlog.workers('run'), 0, 'a hub that hands out claims is no worker itself')
    t.same(h.faults, [])
  },
)

// Alone, since the clock is that of all tests here.
t.test('[CLAIM-9] the clock of a hub is set: the times of its claims are right', { buffered: false }, async (t) => {
  for (const aheadMs of [-400_000, 400_000]) {
    const h = await start(t)
    const worker = new Claimant(h)
    const id = await h.submit()
    await worker.claim()
    const setRight = setClock(aheadMs)
    t.teardown(setRight)
    t.match((await worker.post([metric(1)])).body, { cancel_requested: false })
    await worker.post([COMPLETED])
    setRight()
    const { compute_time_s, duration_s } = await (await h.connect(id)).next('completed')
    t.ok(compute_time_s < 60 && duration_s < 60, `${compute_time_s} s, ${duration_s} s`)
  }
})

t.test('[CLAIM-1] only a worker may claim; whatever is no claim or post is told so', async (t) => {
  const h = await start(t)
  t.match(await h.call('POST', '/api/v2/jobs/claim', { body: {} }), { status: 403, body: { error: 'forbidden' } })
  for (const path of ['/api/v2/jobs/claim', '/api/v2/jobs/x/events'])
    t.match(await h.call('POST', path, { body: {}, token: null }), { status: 401 })
  const worker = new Claimant(h)
  t.match(await worker.claim({ kind: 'dream' }), { status: 422, body: { detail: [{ path: '/kind', expected: 'one of run, benchmark' }] } })
  t.match(await worker.claim({ solver: 'hers' }), { status: 422, body: { detail: [{ path: '/solver', expected: 'one of horn-2d' }] } })
  t.match(await worker.claim({ wait_s: 31 }), { status: 422, body: { detail: [{ path: '/wait_s' }] } })
  t.equal((await worker.claim({ wait_s: 0 })).status, 204)
  const id = await h.submit()
  await worker.claim()
  const faults: [unknown, string][] = [
    [{ type: 'dance' }, '/events/0/type'],
    [{ type: 'process_progress', progress: { current: 1, total: 2, detail: '' } }, '/events/0/type'],
    [{ ...progress(1), percent: 'half' }, '/events/0/percent'],
    [{ ...progress(1), mood: 'good' }, '/events/0/mood'],
    [{ type: 'completed' }, '/events/0/metrics_summary'],
    [{ type: 'failed', error: 'x', code: 'worker_lost' }, '/events/0/code'],
  ]
  for (const [event, path] of faults) t.match(await worker.post([event]), { status: 422, body: { detail: [{ path }] } })
  t.match(await worker.post([COMPLETED, progress(1)]), { status: 422, body: { detail: [{ path: '/events/0' }] } })
  t.match(await worker.post(Array.from({ length: 65 }, () => metric(1))), { status: 422, body: { detail: [{ path: '/events' }] } })
  t.match(await worker.post([], { n: 0 }), { status: 422, body: { detail: [{ path: '/n' }] } })
  const { round, token } = worker.job
  // As Python writes it.
  const body = JSON.stringify({ round, token, n: 1, events: [metric(1), metric(2)] }).replace('"value":2', '"value":NaN')
  t.match(await h.call('POST', `/api/v2/jobs/${id}/events`, { token: workerToken(), body }), {
    status: 422,
    body: { error: 'invalid', detail: [{ path: '/events/1/value', expected: 'a finite number, not NaN' }] },
  })
  t.match(await worker.post([{ type: 'cancelled' }]), { status: 422, body: { message: /was not cancelled/ } })
  const unknown = { round: 1, token: 1, n: 1, events: [] }
  t.match(await h.call('POST', '/api/v2/jobs/nobody/events', { token: workerToken(), body: unknown }), { status: 404 })
  t.match(await worker.post([COMPLETED], { n: 50 }), { status: 200 }, 'and the claim has outlived all of it')
  t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'completed')
})

t.test('[CLAIM-1] [SOLVER-1] a claim gets the input of a configured solver as it was written', async (t) => {
  const h = await start(t, { SOLVERS_FILE: solversFile(t, { name: 'talk' }) })
  const input = '{"big":9007199254740993,"huge":1e400,"zero":-0,"__proto__":1}'
  const submit = (solver: string) => h.call('POST', '/api/v2/runs', { body: `{"solver":"${solver}","input":${input}}` })
  t.equal((await submit('talk')).status, 202)
  t.match(await submit('horn-2d'), { status: 422, body: { detail: [{ path: '/input/big' }, { path: '/input/huge' }] } })
  const answer = await fetch(`${h.nodes[1]?.http}/api/v2/jobs/claim`, {
    method: 'POST',
    headers: { authorization: `Bearer ${workerToken()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'run', solver: 'talk' }),
  })
  t.ok((await answer.text()).includes(`"input":${input},`))
})

t.test('[CLAIM-3] a claim waits for a job, and ends at once when the client goes away or the hub drains', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const waiting = worker.claim({ wait_s: 20 })
  const id = await h.submit()
  t.match(await waiting, { status: 200, body: { id } })
  await worker.post([COMPLETED])

  const body = JSON.stringify({ kind: 'run', wait_s: 30 })
  const headers = { authorization: `Bearer ${workerToken()}`, 'content-type': 'application/json' }
  const hub = h.nodes[0]?.hub
  if (!hub) throw new Error('no node')
  const { revocations } = hub.guards
  for (const isQuick of [true, false]) {
    const gone = new AbortController()
    const arrived = once(hub.server.server, 'request')
    const asked = fetch(`${h.nodes[0]?.http}/api/v2/jobs/claim`, { method: 'POST', headers, body, signal: gone.signal })
    const isClosed = async () => (await arrived)[1].closed
    // While its token is looked at, or while it waits.
    const ready = revocations.ready.bind(revocations)
    if (isQuick) {
      revocations.ready = async () => {
        gone.abort()
        await eventually(isClosed)
      }
    } else {
      await eventually(() => hub.claims.waiting === 1)
      gone.abort()
    }
    await asked.catch(() => {})
    await eventually(isClosed)
    revocations.ready = ready
  }
  const later = await h.submit()
  const client = await h.connect(later)
  t.match(await client.next('status'), { status: 'queued' })
  await client.silence(300)
  t.match(await new Claimant(h).claim({ node: 1 }), { status: 200, body: { id: later, attempt: 1 } }, 'nothing was taken for nobody')

  const begun = Date.now()
  const drained = new Claimant(h).claim({ wait_s: 30 })
  const second = new Claimant(h).claim({ wait_s: 30, kind: 'benchmark' })
  await eventually(() => hub.claims.waiting === 2)
  await h.nodes[0]?.hub.close()
  t.match(await drained, { status: 204 })
  t.match(await second, { status: 204 })
  t.ok(Date.now() - begun < 10_000)
  t.same(h.faults, [])
})

t.test('[CLAIM-3] of many who claim one job over two hubs one gets it', async (t) => {
  const h = await start(t)
  const workers = Array.from({ length: 6 }, (_, i) => new Claimant(h, `worker-${i}`))
  const waiting = workers.map((worker, i) => worker.claim({ wait_s: 2, node: i % 2 }))
  const id = await h.submit()
  const answers = await Promise.all(waiting)
  t.same(answers.map(({ status }) => status).toSorted(), [200, 204, 204, 204, 204, 204])
  const [worker] = workers.filter(({ job }) => job?.id === id)
  t.match(await worker?.post([COMPLETED]), { status: 200 })
})

t.test('[CLAIM-4] a post with the same number is the same write, on whatever hub, also of an end', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  const first = await worker.post([metric(1), { type: 'log', line: 'one' }])
  t.same((await worker.post([metric(1), { type: 'log', line: 'one' }], { n: 1, node: 1 })).body, first.body)
  const second = await worker.post([metric(2), { type: 'log', line: 'two' }])
  t.match(await worker.post([metric(1)], { n: 1 }), STALE, 'an older one is none')
  const end = { type: 'failed', error: 'no' }
  const ended = await Promise.all([worker.post([end], { n: 3 }), worker.post([end], { n: 3, node: 1 })])
  const again = await worker.post([end], { n: 3 })
  t.match(again, { status: 200, body: { status: 'failed', lease_s: 0 } })
  for (const { status, body } of ended) t.match({ status, body }, { status: 200, body: again.body })
  t.match(await worker.post([metric(9)], { n: 4 }), STALE, 'and nothing follows')
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.same(
    events.map(({ type, value, solver_log_tail }: Message) => value ?? solver_log_tail ?? type),
    ['status', 'status', 1, 2, 'one\ntwo'],
  )
  t.equal(second.body.seq, 4)
  t.same(h.faults, [])
})

/** Holds one write of a claim's worker on a node, before or after it is done; the answer lets it go on. */
function hold(h: Harness, node: number, held: number, { isDone = false } = {}): { readonly arrived: Promise<unknown>; release(): void } {
  const { broker } = partsOf(h, node)
  const gate = new EventEmitter()
  const [arrived, released] = [once(gate, 'arrived'), once(gate, 'released')]
  const publish = broker.publish.bind(broker)
  broker.publish = async (id, events, writer) => {
    if (writer.n !== START_N + held) return publish(id, events, writer)
    const early = isDone ? await publish(id, events, writer) : null
    gate.emit('arrived')
    await released
    return early ?? publish(id, events, writer)
  }
  return { arrived, release: () => gate.emit('released') }
}

t.test('[CLAIM-4] a late copy of a post ends nothing, whatever its hub was at', async (t) => {
  const h = await start(t)
  for (const isDone of [false, true]) {
    const worker = new Claimant(h)
    const id = await h.submit()
    await worker.claim()
    const { arrived, release } = hold(h, 0, 1, { isDone })
    const late = worker.post([metric(1)], { n: 1 })
    await arrived
    const first = await worker.post([metric(1)], { n: 1, node: 1 })
    t.equal(first.status, 200)
    t.equal((await worker.post([metric(2)], { n: 2, node: 1 })).status, 200)
    release()
    t.match(await late, isDone ? { status: 200, body: first.body } : STALE)
    t.match(await worker.post([metric(1)], { n: 1, node: 1 }), STALE, 'nor is it the last one again')
    t.match(await worker.post([metric(3), COMPLETED], { n: 3, node: 1 }), { status: 200, body: { status: 'completed' } })
    const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
    t.same(
      events.map(({ type, value }: Message) => value ?? type),
      ['status', 'status', 1, 2, 3, 'completed'],
    )
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-4] the same end twice at once: what one of them has brought about both are told', async (t) => {
  const h = await start(t)
  for (const end of [COMPLETED, { type: 'failed', error: 'no', retry: true }, { type: 'released' }]) {
    const worker = new Claimant(h)
    await h.submit()
    await worker.claim()
    const { arrived, release } = hold(h, 0, 1)
    const slow = worker.post([metric(1), end], { n: 1 })
    await arrived
    const quick = await worker.post([metric(1), end], { n: 1, node: 1 })
    release()
    t.equal(quick.status, 200)
    t.match(await slow, { status: 200, body: quick.body }, end.type)
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-4] [CLAIM-6] an end that never came about is refused, though the job has ended otherwise meanwhile', async (t) => {
  const h = await start(t, { SWEEP_INTERVAL_MS: '600000' })
  const redis = openRedis(t, h)
  const { broker } = partsOf(h)
  const publish = broker.publish.bind(broker)
  const lost = (id: string) => ({ ...runEvents.status(id, 'retrying', 'the worker was lost'), clears: 'attempt' }) as const
  const ended = (id: string) => runEvents.failed(id, { code: 'worker_lost', error: 'lost', log_tail: '' }, {})
  for (const [end, givenUp, ends] of [
    [{ type: 'failed', error: 'no', retry: true }, lost, 'attempt'],
    [{ type: 'released' }, lost, 'attempt'],
    [{ type: 'failed', error: 'no' }, ended, 'round'],
  ] as const) {
    const worker = new Claimant(h)
    const id = await h.submit()
    const { round, token } = (await worker.claim()).body
    broker.publish = () => Promise.reject(new RuncastError('overloaded'))
    t.equal((await worker.post([metric(1), end], { n: 1 })).status, 503)
    broker.publish = publish
    await redis.del(`${queuesOf(h)}:run:${id}~${round}:lock`)
    t.match(await broker.publish(id, [givenUp(id)], fencingWriter({ round, token }, ends)), { ok: true })
    t.match(await worker.post([metric(1), end], { n: 1 }), STALE, `${end.type}, given up`)
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-4] a hub fails between the queue’s commit and its answer: the same post on another one brings it to its end', async (t) => {
  const h = await start(t, { SWEEP_INTERVAL_MS: '600000' })
  const { queue, sweeper } = partsOf(h)
  await sweeper.close()
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  queue.state = () => Promise.reject(new Error('gone'))
  t.equal((await worker.post([metric(1), COMPLETED])).status, 500)
  t.equal((await h.call('GET', `/api/v2/runs/${id}`, { node: 1 })).body.status, 'running')
  t.match(await worker.post([metric(1), COMPLETED], { n: 1, node: 1 }), { status: 200, body: { status: 'completed' } })
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.same(
    events.map(({ type }: Message) => type),
    ['status', 'status', 'metric_update', 'completed'],
  )
})

t.test('[CLAIM-4] what was answered once is answered so again, also when the job is another’s by now', async (t) => {
  const h = await start(t, SHORT)
  const [worker, next] = [new Claimant(h), new Claimant(h, 'worker-2')]
  const id = await h.submit()
  await worker.claim()
  const first = await worker.post([metric(1)])
  t.match(await next.claim({ wait_s: 20 }), { body: { id, attempt: 2 } })
  t.same((await worker.post([metric(1)], { n: 1, node: 1 })).body, first.body)
  t.match(await worker.post([], { n: 2 }), STALE)
  t.match(await worker.post([{ type: 'dance' }], { n: 2 }), STALE, 'whatever it says')
  const second = await next.post([metric(2)])
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  t.same((await next.post([metric(2)], { n: 1 })).body, second.body)
  t.match(await next.post([{ type: 'cancelled' }], { n: 2 }), { body: { status: 'cancelled' } })
})

t.test('[CLAIM-5] nobody but who has claimed a job can write to it', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const id = await h.submit()
  const client = await h.connect(id)
  const { token, round } = (await worker.claim()).body
  for (const other of [{ sub: 'worker-2' }, { token: token + 1 }, { round: round + 1 }])
    t.match(await worker.post([COMPLETED], { ...other, n: 1 }), STALE, JSON.stringify(other))
  t.match(await worker.post([metric(1)], { n: 1 }), { status: 200 })
  await client.next('metric_update')

  const stage = new Stage()
  const other = await startHarness(t, { processor: stage.processor })
  const theirs = await other.submit()
  await stage.play(theirs)
  const body = { round: 1, token: 99, n: 1, events: [COMPLETED] }
  t.match(await other.call('POST', `/api/v2/jobs/${theirs}/events`, { token: workerToken(), body }), STALE, 'a worker process has it')
})

t.test('[CLAIM-6] whoever does not renew has lost the job: it begins anew with another one, and the late write is refused', async (t) => {
  // No sweeper has to help.
  const h = await start(t, { ...SHORT, SWEEP_INTERVAL_MS: '600000' })
  const [lost, next] = [new Claimant(h), new Claimant(h)]
  const id = await h.submit()
  const client = await h.connect(id)
  const { token } = (await lost.claim()).body
  await lost.post([progress(40), metric(1)])
  t.match(await client.next('progress'), { percent: 40 })
  t.match(await next.claim({ wait_s: 20, node: 1 }), { status: 200, body: { id, attempt: 2, round: 1 } })
  t.ok(next.job.token > token)
  t.match(await untilStatus(client, 'retrying'), { attempt: 2, reason: 'the worker was lost' })
  t.match(await untilStatus(client, 'running'), { attempt: 2 })
  for (const node of [0, 1]) t.match(await lost.post([COMPLETED], { node }), STALE)
  t.match(await next.post([progress(3)], { node: 0 }), { status: 200 })
  t.match(await client.next('progress'), { percent: 3 }, 'a new attempt begins at 0')
  await next.post([COMPLETED])
  t.match(await client.next('completed'), { attempts: 2 })
  assertComplete(t, client.messages)
  t.same(h.faults, [])
})

t.test('[CLAIM-6] what a claim has lost a worker process takes up', async (t) => {
  const stage = new Stage()
  const h = await start(t, SHORT)
  const worker = new Claimant(h)
  const id = await h.submit()
  const client = await h.connect(id)
  await worker.claim()
  await worker.post([progress(40)])
  await startLateWorker(t, h, stage.processor)
  const play = await stage.play(id)
  t.match(await worker.post([progress(41)]), STALE)
  play.complete({ answer: 42 })
  t.match(await client.next('completed'), { attempts: 2, metrics_summary: { answer: 42 } })
})

t.test('[CLAIM-4] Redis is away for a moment: come again, and the same post is done', async (t) => {
  const redis = await startTestRedis(t)
  const h = await start(t, {}, redis)
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  await worker.post([metric(1)])
  await redis.kill()
  t.match(await worker.post([metric(2), COMPLETED]), { status: 503, body: { error: 'overloaded' } })
  t.match(await new Claimant(h).claim({ wait_s: 0 }), { status: 503, body: { error: 'overloaded' } })
  await redis.restart()
  await eventually(async () => (await worker.post([metric(2), COMPLETED], { n: 2 })).status === 200, { everyMs: 200 })
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.same(
    events.map(({ type, value }: Message) => value ?? type),
    ['status', 'status', 1, 2, 'completed'],
  )
})

t.test('[CLAIM-6] a post renews the lease, an empty one too; with nobody there to take it the run ends as lost', async (t) => {
  const h = await start(t, { WORKER_LOCK_MS: '5000', SWEEP_INTERVAL_MS: '200' })
  const redis = openRedis(t, h)
  const worker = new Claimant(h)
  const id = await h.submit()
  const client = await h.connect(id)
  const { round } = (await worker.claim()).body
  const lock = `${queuesOf(h)}:run:${id}~${round}:lock`
  for (const [node, events] of [
    [0, []],
    [1, []],
    [1, [metric(1)]],
  ] as const) {
    // As if it had not been renewed for long; no clock of a test runs against it.
    t.equal(await redis.pexpire(lock, 60_000), 1)
    const { status, body } = await worker.post(events, { node })
    t.match({ status, body }, { status: 200, body: { status: 'running', lease_s: 5 } })
    const left = await redis.pttl(lock)
    t.ok(left > 0 && left <= 5000, 'its lease begins anew')
  }
  t.match(await client.next('error'), { code: 'worker_lost', attempts: 1 })
  t.match(await worker.post([]), STALE)
  t.same(h.faults, [])
})

t.test('[CLAIM-7] a cancel is seen in the next answer and obeyed; a result that comes instead stands', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  for (const [end, type] of [
    [{ type: 'cancelled' }, 'cancelled'],
    [{ type: 'failed', error: 'interrupted', retry: true }, 'cancelled'],
    [{ type: 'released' }, 'cancelled'],
    [COMPLETED, 'completed'],
  ] as const) {
    const id = await h.submit()
    const client = await h.connect(id)
    await worker.claim()
    t.match(await worker.post([progress(1)]), { body: { cancel_requested: false } })
    t.match(await h.call('POST', `/api/v2/runs/${id}/cancel`), { status: 202, body: { status: 'cancelling' } })
    t.match(await worker.post([], { node: 1 }), { status: 200, body: { status: 'cancelling', cancel_requested: true } })
    t.match(await worker.post([metric(1), end]), { status: 200, body: { status: type } }, end.type)
    t.notOk((await client.next(type)).forced)
    assertComplete(t, client.messages)
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-7] one that does not obey is ended by force, and cannot hold on to the job', async (t) => {
  const h = await start(t, { ...SHORT, CANCEL_GRACE_MS: '300' })
  const worker = new Claimant(h)
  const id = await h.submit()
  const client = await h.connect(id)
  await worker.claim()
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  await eventually(async () => (await worker.post([])).status === 409, { everyMs: 100 })
  t.match(await client.next('cancelled'), { forced: true })
  const { store } = partsOf(h)
  await eventually(
    async () => {
      t.match(await worker.post([]), STALE)
      return (await store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0
    },
    { everyMs: 200 },
  )
  t.same(h.faults, [])
})

t.test('[CLAIM-7] a run that is cancelled while it waits is not handed out', async (t) => {
  const h = await start(t)
  const [dead, alive] = [await h.submit(), await h.submit()]
  await h.call('POST', `/api/v2/runs/${dead}/cancel`)
  t.match(await new Claimant(h).claim(), { status: 200, body: { id: alive } })
})

t.test(
  '[CLAIM-8] handed back, a run goes on in its attempt; failed with retry, in the next one after the delay that was told',
  async (t) => {
    const h = await start(t)
    const worker = new Claimant(h)
    const id = await h.submit()
    const client = await h.connect(id)
    await worker.claim()
    t.match(await worker.post([progress(30), { type: 'released' }]), { status: 200, body: { status: 'queued', lease_s: 0 } })
    t.match(await worker.post([progress(31)]), STALE)
    t.match(await worker.claim({ node: 1 }), { body: { id, attempt: 1 } })
    await worker.post([progress(3)])
    t.match(await client.next('progress'), { percent: 30 })
    t.match(await client.next('progress'), { percent: 30 }, 'its bar does not fall')
    for (const [attempt, delay_ms] of [
      [2, 1000],
      [3, 2000],
    ] as const) {
      const error = `hiccup before ${attempt}`
      const told = await worker.post([{ type: 'failed', error, retry: true }])
      t.match(told, { status: 200, body: { status: 'retrying' } })
      const retrying = await untilStatus(client, 'retrying')
      t.match(retrying, { attempt, max_attempts: 3, delay_ms, error })
      t.match(await worker.claim({ node: attempt % 2 }), { status: 200, body: { id, attempt } })
      const running = await untilStatus(client, 'running')
      t.ok(Date.parse(running.timestamp) - Date.parse(retrying.timestamp) >= delay_ms - 50)
    }
    const tail = Array.from({ length: 12 }, (_, i) => ({ type: 'log', line: `line ${i}` }))
    await worker.post(tail.slice(0, 6), { node: 1 })
    t.match(await worker.post([...tail.slice(6), { type: 'failed', error: 'the last', retry: true }]), { body: { status: 'failed' } })
    const lines = Array.from({ length: 10 }, (_, i) => `line ${i + 2}`)
    const error = await client.next('error')
    t.match(error, { code: 'solver_error', error: 'the last', attempts: 3 })
    t.equal(error.solver_log_tail, lines.join('\n'))
    t.same(h.faults, [])
  },
)

t.test('[CLAIM-8] [FAIL-2] a claim fails with a code of its own after a retry of its choice', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const id = await h.submit()
  const client = await h.connect(id)
  await worker.claim()
  const failed = { type: 'failed', error: 'line 7', code: 'bad_csv' }
  for (const [fields, path] of [
    [{ code: 'forbidden' }, '/events/0/code'],
    [{ code: 'Bad' }, '/events/0/code'],
    [{ retry_delay_ms: 86_400_001 }, '/events/0/retry_delay_ms'],
  ] as const)
    t.match(await worker.post([{ ...failed, ...fields }], { n: 1 }), { status: 422, body: { detail: [{ path }] } })
  t.match(await worker.post([{ ...failed, retry_delay_ms: 20 }]), { status: 200, body: { status: 'retrying' } })
  t.match(await untilStatus(client, 'retrying'), { attempt: 2, delay_ms: 20, error: 'line 7' })
  t.match(await worker.claim({ node: 1 }), { body: { id, attempt: 2 } })
  t.match(await worker.post([{ ...failed, retry: false, retry_delay_ms: 20 }]), { body: { status: 'failed' } })
  t.match(await client.next('error'), { code: 'bad_csv', error: 'line 7', attempts: 2 })
  t.match(await h.call('GET', `/api/jobs/${id}`), { body: { status: 'failed', final: { code: 'bad_csv' } } })
})

t.test('[REPORT-6] the rest of a claimed run is estimated over its posts, on whatever hub', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  for (const [i, percent] of [10, 20, 30].entries()) {
    t.equal((await h.call('GET', `/api/processes/${id}`)).body.progress?.eta_s ?? null, null)
    await worker.post([progress(percent)], { node: i % 2 })
  }
  const { body } = await h.call('GET', `/api/processes/${id}`)
  t.ok(body.progress.eta_s >= 0, String(body.progress.eta_s))
  await worker.post([{ type: 'failed', error: 'x' }])
  t.notOk('eta_s' in (await h.call('GET', `/api/processes/${id}`)).body.progress, 'not after the end')
})

t.test('[CLAIM-8] failed for good: with its code, and no other attempt', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const client = await h.connect(await h.submit())
  await worker.claim()
  await worker.post([{ type: 'failed', error: 'too thin', code: 'invalid_input' }])
  t.match(await client.next('error'), { code: 'invalid_input', error: 'too thin', attempts: 1 })
})

t.test('[CLAIM-9] a run out of time: the answer says stop, and whatever its worker says then but a result is a timeout', async (t) => {
  const h = await start(t, { CANCEL_GRACE_MS: '60000' })
  const worker = new Claimant(h)
  for (const [end, expected] of [
    [
      { type: 'failed', error: 'interrupted', retry: true },
      { type: 'error', code: 'timeout', solver_log_tail: 'still at it' },
    ],
    [{ type: 'cancelled' }, { type: 'error', code: 'timeout' }],
    [COMPLETED, { type: 'completed' }],
  ] as const) {
    const { run_id } = (await h.call('POST', '/api/v2/runs', { body: { input: HORN, job_timeout_s: 1 } })).body
    const client = await h.connect(run_id)
    const { deadline } = (await worker.claim()).body
    const told = await eventually(
      async () => {
        const { body } = await worker.post([{ type: 'log', line: 'still at it' }])
        return body.cancel_requested && body
      },
      { everyMs: 150 },
    )
    t.ok(Date.now() >= Date.parse(deadline))
    t.equal(told.status, 'running')
    await worker.post([end])
    t.match(await client.next(expected.type), { ...expected, ...('solver_log_tail' in expected && { solver_log_tail: /still at it$/ }) })
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-9] one that does not stop is ended by the sweeper', async (t) => {
  const h = await start(t, { CANCEL_GRACE_MS: '200', SWEEP_INTERVAL_MS: '100' })
  const worker = new Claimant(h)
  const { run_id } = (await h.call('POST', '/api/v2/runs', { body: { input: HORN, job_timeout_s: 1 } })).body
  const client = await h.connect(run_id)
  await worker.claim()
  t.match(await client.next('error'), { code: 'timeout' })
  t.match(await worker.post([]), STALE)
})

t.test('[CLAIM-10] more posts in a second than a claim may make are refused, over all hubs, and take no effect', async (t) => {
  const h = await start(t)
  const redis = openRedis(t, h)
  const worker = new Claimant(h)
  const id = await h.submit()
  const { round, token } = (await worker.claim()).body
  const key = `${queuesOf(h)}:run:${id}~${round}:claim:${token}:posts`
  await redis.set(key, MAX_POSTS_PER_SECOND - 3)
  t.equal((await worker.post([metric(1)], { n: 1 })).status, 200)
  t.equal((await worker.post([metric(1)], { n: 1, node: 1 })).status, 200, 'a repeated one counts')
  t.equal((await worker.post([{ type: 'dance' }], { n: 2, node: 1 })).status, 422, 'one that is not valid counts')
  for (const node of [0, 1]) {
    const refused = await worker.post([metric(2)], { n: 2, node })
    t.match(refused, { status: 429, body: { error: 'rate_limited' } })
    t.equal(refused.headers.get('retry-after'), '1')
  }
  t.equal((await worker.post([COMPLETED], { n: 2, sub: 'worker-2' })).status, 409, 'another one’s do not')
  t.equal(await redis.get(key), String(MAX_POSTS_PER_SECOND + 2))
  await redis.del(key)
  t.equal((await worker.post([COMPLETED], { n: 2 })).status, 200)
  const left = await redis.pttl(key)
  t.ok(left <= 1000 && left !== -1, 'it is over after a second')
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.same(
    events.map(({ type, value }: Message) => value ?? type),
    ['status', 'status', 1, 'completed'],
  )
})

t.test('[REPORT-1] an event that cannot be published is told with its path, and writes nothing', async (t) => {
  const h = await start(t, { MAX_KEYS: '16' })
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  const many = Array.from({ length: 60 }, (_, i) => ({ type: 'metric_update', metric_name: `m ${i}`, value: i, unit: '' }))
  const refused = await worker.post([metric(1), ...many], { n: 1 })
  t.match(refused, {
    status: 422,
    body: { error: 'invalid', message: /MAX_KEYS \(16\)/, detail: [{ path: '/events/0' }, { path: '/events/1' }] },
  })
  t.match((await h.call('GET', `/api/v2/runs/${id}`)).body, { metrics: {} })
  const odd = [
    { ...progress(250), phase: 'training', message: 'x'.repeat(1001) },
    { ...metric(1), metric_name: 'max σ', unit: 'u'.repeat(33) },
  ]
  t.equal((await worker.post(odd, { n: 1 })).status, 200)
  const { body } = await h.call('GET', `/api/v2/runs/${id}`)
  t.match(body, { percent: 99.9, phase: 'meshing', message: `${'x'.repeat(999)}…`, metrics: { 'max σ': { value: 1 } } })
})

t.test('[CLAIM-2] a post may be as large as a message, and no larger', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  await h.submit()
  await worker.claim()
  const lines = (count: number) => Array.from({ length: count }, () => ({ type: 'log', line: 'x'.repeat(9000) }))
  t.ok(h.config.MAX_INBOUND_BYTES < 20 * 9000 && h.config.MAX_EVENT_BYTES < 40 * 9000)
  t.equal((await worker.post(lines(20), { n: 1 })).status, 200)
  t.match(await worker.post(lines(40), { n: 2 }), { status: 413, body: { error: 'too_big' } })
  t.match(await worker.post([COMPLETED], { n: 2 }), { status: 200, body: { status: 'completed' } })
})

t.test('[CLAIM-2] [LOG-2] of a post with thousands of lines the newest 500 are kept, all numbered', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const id = await h.submit()
  await worker.claim()
  const page = async (limit: number) => (await h.call('GET', `/api/v2/runs/${id}/log?limit=${limit}`)).body
  await worker.post([{ type: 'log', line: 'one' }], { n: 1 })
  const many = { type: 'log', line: `${'\n'.repeat(9998)}x\n` }
  t.equal((await worker.post([many, many, { type: 'log', line: 'last' }], { n: 2 })).status, 200)
  const { oldest, lines, first } = await page(1)
  t.match({ oldest, first, lines }, { oldest: 1 + 2 * 9999 + 1 - 499, first: 1 + 2 * 9999 + 1, lines: [{ text: 'last' }] })
  t.equal((await page(1000)).lines.length, 500)
  await worker.post([{ type: 'log', line: 'next' }], { n: 3 })
  t.equal((await page(1)).first, first + 1)
})

t.test('[CLAIM-3] a token that is revoked or runs out while its claim waits gets no job', async (t) => {
  const h = await start(t)
  const hub = h.nodes[0]?.hub
  if (!hub) throw new Error('no node')
  const { claims, guards } = hub
  const revoked = signToken(SECRET, 'worker-9', 600, { role: 'worker' })
  const brief = signToken(SECRET, 'worker-8', 2, { role: 'worker' })
  const expiresAt = Date.now() + 2000
  const revoke = () => guards.revocations.revoke({ sub: 'worker-9', before: Date.now() + 2000, until: Date.now() + 60_000 })
  for (const [token, spoil, error] of [
    [brief, () => eventually(() => Date.now() > expiresAt), 'expired'],
    [revoked, revoke, 'unauthenticated'],
  ] as const) {
    const asked = h.call('POST', '/api/v2/jobs/claim', { token, body: { kind: 'run', wait_s: 20 } })
    await eventually(() => claims.waiting === 1)
    await spoil()
    const id = await h.submit()
    t.match(await asked, { status: 401, body: { error } })
    const worker = new Claimant(h)
    t.match(await worker.claim(), { status: 200, body: { id, attempt: 1, token: 2 } })
    await worker.post([COMPLETED])
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-2] a benchmark is claimed like a run, and speaks its own dialect', async (t) => {
  const h = await start(t)
  const worker = new Claimant(h)
  const { process_id } = (await h.call('POST', '/api/benchmark', { body: { models: ['local/ngram'], runs: 1, context_tiers: [0] } })).body
  t.match(await worker.claim({ kind: 'benchmark' }), { body: { id: process_id, kind: 'benchmark', max_attempts: 2 } })
  const result = { model: 'local/ngram', context_tier: 0, run: 1, status: 'failed', code: 'timeout', error: 'slow', elapsed_ms: 5 }
  const at = { current: 1, total: 1, detail: 'Run 1/1', model: 'local/ngram' }
  t.match(
    await worker.post([
      { type: 'process_progress', progress: at },
      { type: 'process_result', result },
    ]),
    { status: 200 },
  )
  t.match(await worker.post([progress(1)]), { status: 422, body: { detail: [{ path: '/events/0/type' }] } })
  const summary = { total: 1, ok: 0, failed: 1, skipped: 0, output_tokens: 0, system_throughput_tokens_per_s: 0, cells: [] }
  t.match(await worker.post([{ type: 'completed', ...summary }]), { status: 200, body: { status: 'completed' } })
  const { body } = await h.call('GET', `/api/processes/${process_id}/events`)
  t.match(
    body.events.map(({ type }: Message) => type),
    ['process_queued', 'process_started', 'process_result', 'process_completed'],
  )
  t.match(body.events.at(-1), { result: summary, progress: at })
})

t.test('[KEEP-1] [CLAIM-4] of a claimed job nothing stays, however it ended', async (t) => {
  const h = await start(t, { ...SHORT, FINAL_TTL_MS: '1000' })
  const redis = openRedis(t, h)
  const worker = new Claimant(h)
  const own = async () => {
    const keys = await redis.keys(`*${h.config.REDIS_PREFIX}*`)
    // What there is once for each queue, and for the hubs.
    return keys.filter(
      (key) =>
        !/:(id|meta|events|marker|stalled|stalled-check|sweeper)$|:user:|:scratch:|\{processes\}:|\{gate\}:(served|hour|turn|queues)/.test(
          key,
        ),
    )
  }
  t.same(await own(), [])
  for (const end of [COMPLETED, { type: 'failed', error: 'no' }]) {
    await h.submit()
    await worker.claim()
    await worker.post([metric(1), { type: 'log', line: 'x' }])
    await worker.post([{ type: 'released' }])
    await worker.claim()
    await worker.post([end])
  }
  await h.submit()
  await worker.claim()
  t.ok((await own()).length > 0)
  await eventually(
    async () => {
      const left = await own()
      if (left.length > 0) throw new Error(`there is still ${left.join()}`)
      return true
    },
    { timeoutMs: 20_000, everyMs: 100 },
  )
})

t.test('[CLAIM-3] [FAIR-2] what is claimed makes room for the next: as many as there are can be claimed at once', async (t) => {
  const h = await start(t, { SWEEP_INTERVAL_MS: '600000' })
  const ids = [await h.submit(), await h.submit(), await h.submit()]
  const workers = ids.map((_, i) => new Claimant(h, `worker-${i}`))
  await Promise.all(workers.map((worker, i) => worker.claim({ node: i % 2 })))
  t.same(workers.map(({ job }) => job.id).toSorted(), ids.toSorted())
  await Promise.all(workers.map((worker) => worker.post([COMPLETED])))
  for (const id of ids) t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'completed')
})
