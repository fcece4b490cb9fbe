import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { eventually } from '../helpers/eventually.js'
import { type Harness, HORN, SECRET, startHarness } from '../helpers/harness.js'

/** Some seconds of real solving. */
const LONG = { ...HORN, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 201 } }
const ENV = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '300', CANCEL_GRACE_MS: '1000' }

/** A real worker process. */
async function startWorker(t: Test, harness: Harness): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('../../workers/main.js', import.meta.url))
  const env = { ...process.env, ...ENV, REDIS_URL: harness.redis.url, JWT_SECRET: SECRET, LOG_LEVEL: 'silent' }
  const worker = fork(main, { env, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.teardown(async () => {
    if (worker.exitCode !== null || worker.signalCode !== null) return
    worker.kill('SIGKILL')
    await once(worker, 'exit')
  })
  return worker
}

async function kill(worker: ChildProcess): Promise<void> {
  worker.kill('SIGKILL')
  await once(worker, 'exit')
}

t.test('[STATE-9] [STATE-5] a worker killed in the middle: another attempt begins at 0, and one final message comes', async (t) => {
  const harness = await startHarness(t, { processor: null, env: ENV })
  const first = await startWorker(t, harness)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  while ((await client.next('progress')).percent < 5);
  await kill(first)
  await startWorker(t, harness)
  t.match(await client.next('status'), { status: 'retrying', attempt: 2, reason: 'the worker was lost' })
  t.match(await client.next('status'), { status: 'running', attempt: 2 })
  t.match(await client.next('completed'), { percent: 100 })
  const finals = client.messages.filter(({ type }) => type === 'completed' || type === 'error')
  t.equal(finals.length, 1)
  const state = await harness.call('GET', `/api/v2/runs/${id}`)
  t.match(state.body, { status: 'completed', attempt: 2 })
  t.same(harness.faults, [])
})

t.test('[STATE-9] [STATE-10] a job that kills every worker ends as worker_lost', async (t) => {
  const harness = await startHarness(t, { processor: null, env: ENV })
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const worker = await startWorker(t, harness)
    while ((await client.next('progress')).percent < 1);
    await kill(worker)
  }
  await startWorker(t, harness)
  t.match(await client.next('error'), { code: 'worker_lost' })
  const finals = client.messages.filter(({ type }) => type === 'completed' || type === 'error')
  t.equal(finals.length, 1)
})

t.test('[STATE-8] a worker killed while it is cancelling: the job is cancelled all the same', async (t) => {
  const harness = await startHarness(t, { processor: null, env: ENV })
  const worker = await startWorker(t, harness)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  await client.next('progress')
  worker.kill('SIGSTOP')
  t.match(await harness.call('POST', `/api/v2/runs/${id}/cancel`), { status: 202, body: { status: 'cancelling' } })
  await kill(worker)
  await client.next('cancelled')
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { status: 'cancelled' })
})

t.test('[OPS-3] [STATE-6] a worker that stops hands its job back: queued, same attempt, the bar does not fall', async (t) => {
  const harness = await startHarness(t, { processor: null, env: ENV })
  const first = await startWorker(t, harness)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  while ((await client.next('progress')).percent < 5);
  first.kill('SIGTERM')
  t.match(await client.next('status'), { status: 'queued', attempt: 1, reason: 'the worker stops' })
  await eventually(() => first.exitCode === 0)
  await startWorker(t, harness)
  t.match(await client.next('status'), { status: 'running', attempt: 1 })
  await client.next('completed')
  const percents = client.messages.filter(({ type }) => type === 'progress').map(({ percent }) => percent)
  t.same(
    percents,
    percents.toSorted((a, b) => a - b),
  )
})

for (const job of ['an idle worker', 'a worker with a job']) {
  t.test(`[OPS-3] Redis is gone: ${job} and a hub end all the same`, async (t) => {
    const harness = await startHarness(t, { env: ENV })
    if (job === 'a worker with a job') {
      const client = await harness.connect(await harness.submit({ input: LONG }))
      await client.next('progress')
    }
    await harness.redis.kill()
    // The worker's connections know it now, and wait for their next try.
    await eventually(() => harness.faults.some((fault) => /ECONNREFUSED/.test(String((fault as { err: Error }).err.message))))
    await t.resolves(harness.worker?.close() ?? Promise.reject(new Error('there is no worker')))
    await t.resolves(harness.nodes[0]?.hub.close() ?? Promise.reject(new Error('there is no hub')))
  })
}
