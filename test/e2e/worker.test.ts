import t from 'tap'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { killProcess, startWorkerProcess } from '../support/worker-process.js'

/** Some seconds of real solving. */
const LONG = { ...HORN, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 201 } }
const ENV = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '300', CANCEL_GRACE_MS: '1000', WORKER_FINISH_MS: '0' }
/** Of the hub, which sweeps: it waits for the next worker, however long that takes to start. */
const PATIENT = { ...ENV, WORKER_LOCK_MS: '60000' }

t.test('[STATE-9] [STATE-5] a worker killed in the middle: another attempt begins at 0, and one final message comes', async (t) => {
  const harness = await startHarness(t, { processor: null, env: PATIENT })
  const first = startWorkerProcess(t, harness, ENV)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  while ((await client.next('progress')).percent < 5);
  await killProcess(first)
  startWorkerProcess(t, harness, ENV)
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
  const harness = await startHarness(t, { processor: null, env: PATIENT })
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const worker = startWorkerProcess(t, harness, ENV)
    while ((await client.next('progress')).percent < 1);
    await killProcess(worker)
  }
  startWorkerProcess(t, harness, ENV)
  t.match(await client.next('error'), { code: 'worker_lost', attempts: 3, error: 'The worker was lost in attempt 3 of 3.' })
  const finals = client.messages.filter(({ type }) => type === 'completed' || type === 'error')
  t.equal(finals.length, 1)
})

t.test('[STATE-8] a worker killed while it is cancelling: the job is cancelled all the same', async (t) => {
  const harness = await startHarness(t, { processor: null, env: PATIENT })
  const worker = startWorkerProcess(t, harness, ENV)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  await client.next('progress')
  worker.kill('SIGSTOP')
  t.match(await harness.call('POST', `/api/v2/runs/${id}/cancel`), { status: 202, body: { status: 'cancelling' } })
  await killProcess(worker)
  t.notOk('forced' in (await client.next('cancelled')), 'nobody was forced')
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { status: 'cancelled' })
})

t.test('[OPS-3] [STATE-6] a worker that stops hands its job back: queued, same attempt, the bar does not fall', async (t) => {
  const harness = await startHarness(t, { processor: null, env: PATIENT })
  const first = startWorkerProcess(t, harness, ENV)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  while ((await client.next('progress')).percent < 5);
  first.kill('SIGTERM')
  t.match(await client.next('status'), { status: 'queued', attempt: 1, reason: 'the worker stops' })
  await eventually(() => first.exitCode === 0)
  startWorkerProcess(t, harness, ENV)
  t.match(await client.next('status'), { status: 'running', attempt: 1 })
  await client.next('completed')
  const percents = client.messages.filter(({ type }) => type === 'progress').map(({ percent }) => percent)
  t.same(
    percents,
    percents.toSorted((a, b) => a - b),
  )
})

t.test('[OPS-3] a worker that stops lets a short job end, hands back a long one and a deaf one, and ends', async (t) => {
  const settings = { ...ENV, WORKER_CONCURRENCY: '3', WORKER_FINISH_MS: '5000', CANCEL_GRACE_MS: '500', WORKER_LOCK_MS: '10000' }
  const harness = await startHarness(t, { processor: null, env: settings })
  const first = startWorkerProcess(t, harness, settings, 'scripted')
  const ids = ['short', 'long', 'loop']
  for (const id of ids) await harness.submit({ id })
  const clients = await Promise.all(ids.map((id) => harness.connect(id)))
  const [short, ...others] = clients
  for (const client of clients) await client.next('progress')
  first.kill('SIGTERM')
  await short?.next('completed')
  t.equal(first.exitCode, null, 'while the others go on')
  for (const client of others) {
    while ((await client.next('status')).status !== 'queued');
    t.match(client.messages.at(-1), { attempt: 1, reason: 'the worker stops' })
  }
  await eventually(() => first.exitCode === 0)
  startWorkerProcess(t, harness, { ...settings, SCRIPTS_END: 'yes' }, 'scripted')
  for (const client of others) t.match(await client.next('completed'), { attempts: 1 })
  t.same(harness.faults, [])
})
