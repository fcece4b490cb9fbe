import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { type Answer, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import { testPort } from '../support/ports.js'
import { startTestRedis } from '../support/redis.js'
import { readExposition, type Scraped } from '../support/scraped.js'
import { startWorkerProcess } from '../support/worker-process.js'

/** The metrics at a port; null where there are none. */
async function metricsAt(port: number): Promise<Scraped | null> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  const text = await response.text()
  return response.ok ? readExposition(text) : null
}

/** What a process says of itself on its own port. */
function askAt(port: number): (path: string) => Promise<Pick<Answer, 'status' | 'body'>> {
  return async (path) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, body: await response.json() }
  }
}

const LIVE = { status: 200, body: { status: 'live' } }

t.test('[OPS-1] a worker process says on METRICS_PORT whether it takes jobs, also while it stops', async (t) => {
  const harness = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const port = await testPort()
  // Without any key of the tokens, which a worker does not need.
  const settings = { METRICS_PORT: `${port}`, WORKER_FINISH_MS: '20000', JWT_SECRET: '' }
  const worker = startWorkerProcess(t, harness, settings, 'scripted')
  const ask = askAt(port)
  await eventually(async () => (await ask('/readyz')).status === 200, { timeoutMs: 30_000 })
  t.same(await ask('/readyz'), { status: 200, body: { status: 'ready', checks: { redis: true, jobs: true }, writable: true } })
  t.same(await ask('/livez'), LIVE)

  process.kill(harness.redis.server.pid, 'SIGSTOP')
  t.same((await ask('/readyz')).body.checks, { redis: false, jobs: true }, 'an open connection proves nothing')
  process.kill(harness.redis.server.pid, 'SIGCONT')
  await harness.redis.kill()
  await eventually(async () => !(await ask('/readyz')).body.checks.jobs)
  t.match(await ask('/readyz'), { status: 503, body: { status: 'not ready', checks: { redis: false, jobs: false }, writable: false } })
  t.same(await ask('/livez'), LIVE)
  await harness.redis.restart()
  await eventually(async () => (await ask('/readyz')).status === 200)

  const id = await harness.submit({ id: 'short-1' })
  await (await harness.connect(id)).next('progress')
  const ended = once(worker, 'exit')
  worker.kill('SIGTERM')
  await eventually(async () => (await ask('/readyz')).status === 503)
  t.same((await ask('/readyz')).body.checks, { redis: true, jobs: false })
  t.same(await ask('/livez'), LIVE, 'while its job goes on')
  t.equal((await metricsAt(port))?.sum('runcast_running_jobs', { queue: 'run' }), 1, 'which is counted')
  t.same(await ended, [0, null])
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { status: 'completed', attempt: 1 })
  await t.rejects(ask('/livez'))
})

t.test('[OPS-1] a worker of optimizations alone says the same of its steps', async (t) => {
  const harness = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const port = await testPort()
  const worker = startWorkerProcess(t, harness, { METRICS_PORT: `${port}`, WORKER_KINDS: 'optimization' })
  const ask = askAt(port)
  await eventually(async () => (await ask('/readyz')).status === 200, { timeoutMs: 30_000 })
  await harness.redis.kill()
  await eventually(async () => !(await ask('/readyz')).body.checks.jobs)
  await harness.redis.restart()
  await eventually(async () => (await ask('/readyz')).status === 200)
  const ended = once(worker, 'exit')
  worker.kill('SIGTERM')
  t.same(await ended, [0, null])
})

t.test('[OPS-1] a worker that cannot hear cancels is not ready', async (t) => {
  const harness = await startHarness(t, { redis: await startTestRedis(t) })
  const jobs = harness.worker?.readiness.jobs
  const admin = new Redis(harness.redis.url)
  t.teardown(() => admin.disconnect())
  t.equal(await jobs?.(), true)
  // The control channel comes back by itself, but not at once; nothing else of the worker is of this type.
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await eventually(async () => (await jobs?.()) === false, { everyMs: 1 })
  await eventually(async () => (await jobs?.()) === true)
})

t.test('[OPS-1] a hub says the same on METRICS_PORT as on its own port, and has its metrics there alone', async (t) => {
  const harness = await startHarness(t, { processor: null })
  const port = await testPort()
  const { child, ws } = await startHub(t, harness, { METRICS_PORT: `${port}`, DRAIN_MS: '0' })
  for (const ask of [askAt(port), askAt(Number(new URL(ws).port))]) {
    t.same(await ask('/livez'), LIVE)
    t.same(await ask('/readyz'), { status: 200, body: { status: 'ready', checks: { redis: true, serving: true }, writable: true } })
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/api/v2/runs`)).status, 404, 'and nothing else is there')
  t.equal((await metricsAt(port))?.sum('runcast_redis_ready'), 1)
  t.equal(await metricsAt(Number(new URL(ws).port)), null, 'a port that clients reach shows no metrics')
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await ended, [0, null], 'the port does not keep it')
})

t.test('with METRICS_PORT 0 a hub has its metrics beside its API', async (t) => {
  const harness = await startHarness(t, { processor: null })
  const { ws } = await startHub(t, harness, {})
  t.equal((await metricsAt(Number(new URL(ws).port)))?.sum('runcast_redis_ready'), 1)
})
