import t from 'tap'
import { createJobs } from '../../src/index.js'
import { startBenchHarness } from '../support/bench-harness.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import { startWorkerProcess } from '../support/worker-process.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const post = (h: Harness, body: object) => h.call('POST', '/api/v2/runs', { body: { input: HORN, ...body } })
const timeoutOf = async (h: Harness, id: string) => (await h.nodes[0]?.hub.parts.broker.read(id))?.state.timeoutMs

t.test('[TIMEOUT-1] a job that takes longer than it may fails with that code, once, whoever asked for the limit', async (t) => {
  for (const [kind, job] of [
    ['3600', { job_timeout_s: 3 }],
    ['3', {}],
  ] as const) {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor, env: { RUN_TIMEOUT_S: kind } })
    const { run_id } = (await post(h, job)).body
    const client = await h.connect(run_id)
    const { job: played } = await stage.play(run_id)
    played.log('still at it')
    played.progress({ percent: 7, phase: 'solving', message: '7' })
    t.match(await client.next('error'), {
      code: 'timeout',
      error: 'The job exceeded its time limit of 3 s.',
      solver_log_tail: 'still at it',
      percent: 7,
      attempts: 1,
    })
    t.match(played.signal.reason, { why: 'timeout' })
    t.equal(stage.plays.length, 1, 'and is not tried again')
    t.same(h.faults, [])
  }
})

t.test('[TIMEOUT-1] one that does not obey is ended by force', async (t) => {
  const h = await startHarness(t, { processor: null })
  startWorkerProcess(t, h, { CANCEL_GRACE_MS: '300', WORKER_CONCURRENCY: '1' }, 'scripted')
  const client = await h.connect((await post(h, { run_id: 'loop', job_timeout_s: 1 })).body.run_id)
  t.match(await client.next('error'), { code: 'timeout' })
  await (await h.connect(await h.submit({ id: 'quick' }))).next('completed')
})

t.test('[TIMEOUT-1] one whose worker is frozen is ended by the sweeper', async (t) => {
  const settings = { CANCEL_GRACE_MS: '300', WORKER_LOCK_MS: '60000' }
  const h = await startHarness(t, { processor: null, env: { ...settings, SWEEP_INTERVAL_MS: '100' } })
  const worker = startWorkerProcess(t, h, settings, 'scripted')
  const client = await h.connect((await post(h, { run_id: 'long', job_timeout_s: 3 })).body.run_id)
  await client.next('progress')
  worker.kill('SIGSTOP')
  t.match(await client.next('error'), { code: 'timeout', error: 'The job exceeded its time limit of 3 s.' })
  worker.kill('SIGCONT')
})

t.test('[TIMEOUT-1] a benchmark too, by the setting of its kind or its own limit', async (t) => {
  const h = await startBenchHarness(t, { env: { BENCHMARK_TIMEOUT_S: '77' } })
  const endless = { models: ['local/ngram'], runs: 50, max_tokens: 2000, context_tiers: [0] }
  const job = await h.bench({ ...endless, job_timeout_s: 1 })
  t.match(await job.final(), { type: 'process_failed', code: 'timeout' })
  t.equal(await timeoutOf(h, job.id), 1000)
  const other = await h.bench({ models: ['local/ngram'], runs: 1, context_tiers: [0] })
  t.equal(await timeoutOf(h, other.id), 77_000)
  await other.final()
})

t.test('[TIMEOUT-2] the time counts from the first start, over all attempts, and what has none left does not start again', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const second = (await post(h, { run_id: 'second', job_timeout_s: 5 })).body.run_id
  ;(await stage.play(second)).fail(new Error('a hiccup'))
  // Its first attempt has to fail within a second.
  const none = (await post(h, { run_id: 'none', job_timeout_s: 1 })).body.run_id
  ;(await stage.play(none)).fail(new Error('a hiccup'))
  const clients = await Promise.all([second, none].map((id) => h.connect(id)))
  // Both wait for a second before the next attempt.
  for (const client of clients) t.match(await client.next('error'), { code: 'timeout', attempts: 2 })
  t.equal(stage.playsOf(second).length, 2)
  t.equal(stage.playsOf(none).length, 1)
  const { started_at, finished_at } = (await h.call('GET', `/api/v2/runs/${second}`)).body
  t.ok(Date.parse(finished_at) - Date.parse(started_at) >= 5000)
})

t.test('[TIMEOUT-2] a new round has all of its time', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = (await post(h, { job_timeout_s: 3 })).body.run_id
  const client = await h.connect(id)
  await client.next('error')
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), { status: 202 })
  const { complete } = await eventually(() => stage.playsOf(id)[1])
  complete()
  await client.next('completed')
})

t.test('[TIMEOUT-3] a limit is no part of the input, and has bounds', async (t) => {
  const h = await startHarness(t, { processor: null })
  const first = await post(h, { run_id: 'r', job_timeout_s: 30.5 })
  t.match(await post(h, { run_id: 'r', job_timeout_s: 60 }), { status: 202, body: { created_at: first.body.created_at } })
  t.equal(await timeoutOf(h, 'r'), 30_500)
  t.equal(await timeoutOf(h, await h.submit()), h.config.RUN_TIMEOUT_S * 1000)
  for (const job_timeout_s of [0, -1, 604_801, '5', null]) {
    const path = '/job_timeout_s'
    t.match(await post(h, { job_timeout_s }), { status: 422, body: { error: 'invalid', detail: [{ path }] } }, `${job_timeout_s}`)
    const body = { models: ['local/ngram'], job_timeout_s }
    t.match(await h.call('POST', '/api/benchmark', { body }), { status: 422, body: { detail: [{ path }] } }, `${job_timeout_s}`)
  }
})

t.test('[TIMEOUT-3] a program gives one too', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = createJobs({ redisUrl: h.redis.url, redisPrefix: h.redis.prefix, owner: 'alice' })
  t.teardown(() => jobs.close())
  const input = { ...HORN, material: 'ti-6al-4v', profile: 'uniform' } as const
  const { process_id } = await jobs.submit('run', input, { timeoutS: 12 })
  t.equal(await timeoutOf(h, process_id), 12_000)
  for (const timeoutS of [0, Number.NaN, Number.POSITIVE_INFINITY, 604_801])
    await t.rejects(jobs.submit('run', input, { timeoutS }), { code: 'invalid', detail: [{ path: '/timeoutS' }] }, `${timeoutS}`)
})
