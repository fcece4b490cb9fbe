import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { lostWorker } from '../../src/core/lost-worker.js'
import { runEvents } from '../../src/core/run-events.js'
import { BUILT_IN_KINDS } from '../../src/kinds/index.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { startTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { openTab } from '../support/tab.js'
import type { TestClient } from '../support/test-client.js'
import { assertComplete } from '../support/wire.js'
import { killProcess, startWorkerProcess } from '../support/worker-process.js'

/** Some seconds of real solving. */
const LONG = { ...HORN, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 201 } }
const ENV = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200', CANCEL_GRACE_MS: '1000', WORKER_KINDS: 'run' }
const FINAL = /^(completed|error|cancelled|process_(completed|failed|cancelled))$/

function finalsOf(client: TestClient): object[] {
  return client.messages.filter(({ type }) => FINAL.test(type))
}

function partsOf(h: Harness) {
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new Error('no node')
  return parts
}

function openRedis(t: Test, h: Harness): Redis {
  const redis = new Redis(h.redis.url)
  t.teardown(() => redis.disconnect())
  return redis
}

t.test(
  '[STATE-9] the only worker is killed and none comes: whoever watches is told worker_lost, and a retry goes on in the same sockets',
  async (t) => {
    const h = await startHarness(t, { processor: null, nodes: 2, env: ENV })
    const worker = startWorkerProcess(t, h, ENV)
    const id = await h.submit({ input: LONG })
    const [client, user] = [await h.connect(id, { node: 1 }), await openTab(h)]
    while ((await client.next('progress')).percent < 5);
    await killProcess(worker)
    const { percent } = client.messages.findLast(({ type }) => type === 'progress')
    t.match(await client.next('error'), { code: 'worker_lost', attempts: Number, percent, duration_s: Number })
    t.match(await user.next('process_failed'), { process_id: id, code: 'worker_lost', attempts: Number, progress: { current: percent } })
    t.match(
      h.logged.filter((line) => 'source' in line),
      [{ job: id, round: 1, status: 'failed', source: 'sweeper' }],
    )
    const parts = partsOf(h)
    await eventually(async () => (await parts.store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)

    t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), { status: 202 })
    startWorkerProcess(t, h, ENV)
    t.match(await client.next('status'), { status: 'queued', attempt: 1 })
    t.match(await client.next('status'), { status: 'running', attempt: 1 })
    t.match(await h.call('POST', `/api/v2/runs/${id}/cancel`), { status: 202 })
    await client.next('cancelled')
    await user.next('process_cancelled')
    for (const each of [client, user]) t.equal(finalsOf(each).length, 2, 'one for each round')
    assertComplete(t, client.messages)
    t.same(h.faults, [])
  },
)

t.test('[STATE-9] [STATE-3] a frozen worker counts as lost; when it wakes, nothing that it says is taken', async (t) => {
  const h = await startHarness(t, { processor: null, env: ENV })
  const worker = startWorkerProcess(t, h, ENV)
  const id = await h.submit({ input: LONG })
  const client = await h.connect(id)
  await client.next('progress')
  worker.kill('SIGSTOP')
  t.match(await client.next('error'), { code: 'worker_lost' })
  const { body: ended } = await h.call('GET', `/api/v2/runs/${id}`)
  worker.kill('SIGCONT')
  // It is well again when it has computed the next one.
  const next = await h.connect(await h.submit())
  await next.next('completed')
  t.equal(client.messages.at(-1).type, 'error')
  t.same((await h.call('GET', `/api/v2/runs/${id}`)).body, ended)
})

t.test('[STATE-9] a worker is lost and the others are busy: the state says that the run waits for another try', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { ...ENV, WORKER_CONCURRENCY: '1' } })
  const busy = await stage.play(await h.submit())
  const worker = startWorkerProcess(t, h, ENV)
  const id = await h.submit({ input: LONG })
  const client = await h.connect(id)
  await client.next('progress')
  await killProcess(worker)
  t.match(await client.next('status'), { status: 'retrying', attempt: 2, reason: 'the worker was lost' })
  t.match((await h.call('GET', `/api/v2/runs/${id}`)).body, { status: 'retrying', percent: null, attempt: 2 })
  busy.complete()
  const play = await stage.play(id)
  t.match(await client.next('status'), { status: 'running', attempt: 2 })
  play.complete()
  t.match(await client.next('completed'), { attempts: 2 })
  t.equal(finalsOf(client).length, 1)
})

t.test('[ATTEMPT-2] [STATE-9] the worker of the last attempt is lost, and the others are busy: there is nothing to wait for', async (t) => {
  const h = await startHarness(t, { processor: null, env: ENV })
  const id = await h.submit()
  const client = await h.connect(id)
  const { broker } = partsOf(h)
  const running = runEvents.status(id, 'running')
  await broker.publish(id, [running], { round: 1, token: 1, n: 1 })
  for (const token of [2, 3]) t.match(await broker.publish(id, [lostWorker(runKind, id), running], { round: 1, token, n: 1 }), { ok: true })
  // As if the last of them had been silent for long.
  await openRedis(t, h).hset(new RedisKeys(h.config.REDIS_PREFIX).job(id), 'beat_at', 1)
  t.match(await client.next('error'), { code: 'worker_lost', attempts: 3, error: /attempt 3 of 3/ })
  t.same(h.faults, [])
})

t.test('[STATE-9] a run that waits for another try is lost by the queue as well: it ends', async (t) => {
  const h = await startHarness(t, { processor: null, env: ENV })
  const id = await h.submit()
  const client = await h.connect(id)
  const { broker, backlog, queue } = partsOf(h)
  await queue.started({ queue: 'run', id, round: 1 })
  await broker.publish(id, [runEvents.status(id, 'running')], { round: 1, token: 1, n: 1 })
  await openRedis(t, h).hset(new RedisKeys(h.config.REDIS_PREFIX).job(id), 'beat_at', 1)
  t.match(await client.next('status'), { recovered: false })
  while ((await client.next('status')).status !== 'retrying');
  t.ok(await backlog.remove({ queue: 'run', id, round: 1 }))
  t.match(await client.next('error'), { code: 'worker_lost', attempts: 2 })
  t.same(h.faults, [])
})

t.test('[STATE-9] the queue has given a run up and no worker is there to say so', async (t) => {
  const h = await startHarness(t, { processor: null, env: ENV })
  const id = await h.submit()
  const client = await h.connect(id)
  const job = `${new RedisKeys(h.config.REDIS_PREFIX).queues()}:run:${id}~1`
  const redis = openRedis(t, h)
  await eventually(async () => (await redis.exists(job)) === 1)
  await redis.hset(job, 'defa', 'job stalled more than allowable limit')
  t.match(await client.next('error'), { code: 'worker_lost' })
  await eventually(async () => (await redis.exists(job)) === 0)
  t.same(h.faults, [])
})

t.test('[STATE-7] the worker dies after the queue’s commit, before its own hook: news of the queue tell it', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: stage.processor, env: { ...ENV, WORKER_LOCK_MS: '10000' } })
  if (!h.worker) throw new Error('no worker')
  h.worker.parts.queue.state = () => Promise.reject(new Error('gone'))
  // The hub alone sweeps, and finds nothing to look at.
  await h.worker.parts.sweeper.close()
  partsOf(h).store.active = async () => []
  const redis = openRedis(t, h)
  const id = await h.submit()
  const client = await h.connect(id)
  const play = await stage.play(id)
  await eventually(async () => String(await redis.client('LIST')).includes(':qe'))
  play.complete({ answer: 42 })
  t.match(await client.next('completed'), { metrics_summary: { answer: 42 } })
  t.match(
    h.logged.filter((line) => 'source' in line),
    [{ job: id, status: 'completed', source: 'queue' }],
  )
})

t.test('[STATE-13] one process at a time sweeps and hears the news; when it stops, another one does', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null, nodes: 3, env: ENV })
  const redis = openRedis(t, h)
  const listeners = async () => String(await redis.client('LIST')).match(/name=\S*:qe/g)?.length ?? 0
  const lease = new RedisKeys(h.config.REDIS_PREFIX).sweeper()
  await eventually(async () => (await listeners()) === BUILT_IN_KINDS.length)
  await redis.set(lease, 'a process that is about to die', 'PX', 1000)
  await eventually(async () => (await listeners()) === 0)
  await eventually(async () => (await listeners()) === BUILT_IN_KINDS.length)
  for (const { hub } of h.nodes) await hub.close()
  t.equal(await redis.get(lease), null, 'given back')
})

t.test('[STATE-9] Redis is away for longer than a worker may be silent: whoever computes meanwhile is not given up', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: stage.processor, env: { ...ENV, WORKER_LOCK_MS: '2000' } })
  const id = await h.submit()
  const before = await stage.play(id)
  await h.redis.kill()
  await new Promise((resolve) => setTimeout(resolve, 5000)) // far longer than the lock lives
  await h.redis.restart()
  // Whether its worker goes on or begins again is the queue's to say.
  const ended = await eventually(
    async () => {
      for (const play of new Set([before, ...stage.playsOf(id)])) play.complete({ answer: 1 })
      const { status, body } = await h.call('GET', `/api/v2/runs/${id}`)
      return status === 200 && /completed|failed/.test(body.status) && body
    },
    { timeoutMs: 60_000 },
  )
  t.match(ended, { status: 'completed', result: { metrics_summary: { answer: 1 } } })
})

t.test('[STATE-7] a Redis that came back without the start of a run: the run completes all the same', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { ...ENV, WORKER_LOCK_MS: '10000' } })
  const id = await h.submit()
  const client = await h.connect(id)
  const play = await stage.play(id)
  await openRedis(t, h).hset(new RedisKeys(h.config.REDIS_PREFIX).job(id), 'status', 'queued')
  play.complete({ answer: 1 })
  t.match(await client.next('completed'), { metrics_summary: { answer: 1 } })
  t.same(h.faults, [])
})

t.test('[STATE-7] Redis is restarted in the middle of a run: it goes on, and ends once', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: stage.processor, env: { ...ENV, WORKER_LOCK_MS: '10000' } })
  const id = await h.submit()
  const play = await stage.play(id)
  play.job.metric('before', 1, 'Hz')
  await play.job.flush()
  await h.redis.restart()
  play.job.metric('after', 2, 'Hz')
  play.complete({ answer: 1 })
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed', { timeoutMs: 60_000 })
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.equal(events.filter(({ type }: { type: string }) => FINAL.test(type)).length, 1)
  t.match(events.at(-1), { type: 'completed', metrics_summary: { answer: 1 } })
})
