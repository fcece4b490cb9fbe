import { Redis } from 'ioredis'
import t from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { metricPoint } from '../../src/core/metric-point.js'
import { pointTelemetry } from '../../src/core/series-telemetry.js'
import { JobCounts } from '../../src/jobs/sweeper/job-counts.js'
import { LostLockTracker } from '../../src/jobs/sweeper/lost-lock-tracker.js'
import { reconcile } from '../../src/jobs/sweeper/reconcile.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { JobFailure } from '../../src/worker/processor.js'
import { StepWorker } from '../../src/worker/step-worker.js'
import { WorkTally } from '../../src/worker/work-tally.js'
import { Claimant } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import type { RunProcessor } from '../support/kinds.js'
import { measure, optimize } from '../support/optimizations.js'
import { assertDashboard, assertDeclared, none, some, watch } from '../support/watched.js'
import { startWorkerProcess } from '../support/worker-process.js'

t.test('a job from its submit to its end, on the hub and on its worker', async (t) => {
  const w = await watch(t, { env: { CANCEL_GRACE_MS: '30000' } })
  const [done, failing, cancelled] = [await w.h.submit(), await w.h.submit(), await w.h.submit()]
  await w.counts('runcast_jobs_submitted_total', 3, { kind: 'run' })
  const play = await w.stage.play(done)
  await w.counts('runcast_job_slots', 2, { queue: 'run' }, 'worker')
  await w.counts('runcast_running_jobs', 2, { queue: 'run' }, 'worker')
  play.job.progress({ percent: 1, phase: 'solving', message: 'x' })
  for (let i = 0; i < 3; i += 1) play.job.metric('m', i, 'Hz')
  for (let i = 2; i < 5; i += 1) play.job.progress({ percent: i, phase: 'solving', message: 'x' })
  await w.counts('runcast_reports_total', 4, { class: 'tick' }, 'worker')
  await w.counts('runcast_reports_total', 3, { class: 'durable' }, 'worker')
  await w.counts('runcast_ticks_coalesced_total', 3, {}, 'worker')
  play.complete()
  await w.counts('runcast_finals_total', 1, { kind: 'run', status: 'completed', source: 'worker', code: '' }, 'worker')
  const second = await w.stage.play(failing)
  second.fail(new JobFailure('solver_error', 'diverged'))
  await w.counts('runcast_finals_total', 1, { kind: 'run', status: 'failed', source: 'worker', code: 'solver_error' }, 'worker')
  await w.stage.play(cancelled)
  await w.h.call('POST', `/api/v2/runs/${cancelled}/cancel`)
  await w.counts('runcast_cancels_total', 1, { kind: 'run' })
  await w.counts('runcast_cancel_seconds', 1, { kind: 'run' }, 'worker')
  await w.counts('runcast_attempts_started_total', 3, { queue: 'run' }, 'worker')
  await w.counts('runcast_attempts_ended_total', 1, { queue: 'run', how: 'done' }, 'worker')
  await w.counts('runcast_attempts_ended_total', 2, { queue: 'run', how: 'ended' }, 'worker')
  await w.h.call('POST', `/api/v2/runs/${failing}/retry`)
  await w.counts('runcast_jobs_retried_total', 1, { kind: 'run' })
  const third = await eventually(() => w.stage.playsOf(failing)[1])
  third.fail(new Error('for a moment'))
  await w.counts('runcast_attempts_ended_total', 1, { queue: 'run', how: 'retry' }, 'worker')
  await w.h.call('POST', `/api/v2/runs/${failing}/cancel`)
  await w.counts('runcast_finals_total', 1, { kind: 'run', status: 'cancelled', source: 'cancel' })
  await w.counts('runcast_cancel_seconds', 1, { kind: 'run' })
  await w.counts('runcast_running_jobs', 0, { queue: 'run' }, 'worker')
  t.same(w.h.faults, [])
})

t.test('lines, points and artifacts: what is kept, what is left out, what is refused and what is downloaded', async (t) => {
  const w = await watch(t, { env: { MAX_LOG_LINES: '100', MAX_SERIES: '1', MAX_ARTIFACT_BYTES: '10' } })
  const id = await w.h.submit()
  const { job, complete } = await w.stage.play(id)
  for (let i = 0; i < 150; i += 1) job.log(`line ${i}`)
  job.metric('a', 1, { unit: 'm', step: 1 })
  await job.artifact('a.txt', { data: 'content' })
  await t.rejects(job.artifact('b.txt', { data: 'more than that' }), { message: /MAX_ARTIFACT_BYTES/ })
  await w.counts('runcast_log_lines_total', 100, { result: 'written' }, 'worker')
  await w.counts('runcast_log_lines_total', 50, { result: 'skipped' }, 'worker')
  await w.counts('runcast_series_points_total', 1, {}, 'worker')
  await w.counts('runcast_artifacts_total', 1, { result: 'stored' }, 'worker')
  await w.counts('runcast_artifacts_total', 1, { result: 'too_big' }, 'worker')
  await w.counts('runcast_artifact_bytes_total', 7, {}, 'worker')
  const headers = { authorization: `Bearer ${w.h.token()}` }
  t.equal(await (await fetch(`${w.h.nodes[0]?.http}/api/jobs/${id}/artifacts/a.txt`, { headers })).text(), 'content')
  await w.counts('runcast_artifact_downloads_total', 1, { by: 'content' })
  const point = pointTelemetry(metricPoint('b', 1, { unit: 'm', step: 1 }), 0)
  t.match(await w.h.nodes[0]?.hub.parts.broker.publish(id, [], controlWriter(1), [point]), { reason: 'too_many_series' })
  await w.counts('runcast_series_refused_total', 1)
  complete()
})

t.test('a job that does not obey is counted as ended by force', async (t) => {
  const deaf: RunProcessor = () => new Promise(() => {})
  const w = await watch(t, { processor: deaf, env: { CANCEL_GRACE_MS: '200' } })
  const id = await w.h.submit()
  await w.counts('runcast_running_jobs', 1, {}, 'worker')
  await eventually(async () => (await w.h.call('GET', `/api/v2/runs/${id}`)).body.status === 'running')
  await w.h.call('POST', `/api/v2/runs/${id}/cancel`)
  const forced = async () => (await w.hub()).sum('runcast_forced_ends_total') + (await w.worker()).sum('runcast_forced_ends_total')
  await eventually(async () => (await forced()) === 1)
  w.saw('runcast_forced_ends_total')
})

t.test('a job whose worker has another one: its writes are fenced', async (t) => {
  const w = await watch(t)
  const id = await w.h.submit()
  const { job } = await w.stage.play(id)
  const admin = new Redis(w.h.redis.url)
  await admin.hset(new RedisKeys(w.h.redis.prefix).job(id), 'token', '99')
  admin.disconnect()
  job.metric('m', 1, 'Hz')
  await w.counts('runcast_fenced_writes_total', 1, { reason: 'stale_writer' }, 'worker')
})

t.test('an attempt that is handed back is counted so', async (t) => {
  const w = await watch(t)
  await w.stage.play(await w.h.submit())
  await w.h.worker?.close()
  await w.counts('runcast_attempts_ended_total', 1, { queue: 'run', how: 'handed_back' }, 'worker')
})

t.test('an attempt counts once the queue has taken its end: one whose lock another one holds has not ended', async (t) => {
  const w = await watch(t, { env: { WORKER_LOCK_MS: '1000' } })
  const id = await w.h.submit()
  const { complete } = await w.stage.play(id)
  const admin = new Redis(w.h.redis.url)
  t.teardown(() => admin.disconnect())
  // For longer than the queue needs to see that the job is held no more, and then by nobody.
  t.equal(await admin.set(`${new RedisKeys(w.h.redis.prefix).queues()}:run:${id}~1:lock`, 'another', 'PX', 1000, 'XX'), 'OK')
  complete()
  const again = await eventually(() => w.stage.playsOf(id)[1], { timeoutMs: 20_000 })
  t.equal((await w.worker()).sum('runcast_attempts_ended_total'), 0)
  again.complete()
  await w.counts('runcast_attempts_ended_total', 1, { queue: 'run' }, 'worker')
  await w.counts('runcast_attempts_started_total', 2, { queue: 'run' }, 'worker')
})

t.test('queues: who waits, who is active, for how long the next one waits, and the workers', async (t) => {
  const w = await watch(t, { processor: null })
  for (let i = 0; i < 3; i += 1) await w.h.submit()
  await w.counts('runcast_queue_jobs', 2, { queue: 'run', state: 'waiting' })
  await w.counts('runcast_queue_jobs', 1, { queue: 'run', state: 'active' })
  await w.sees('runcast_queue_head_wait_seconds', some, { queue: 'run' })
  await w.counts('runcast_queue_workers', 0, { queue: 'run' })
  startWorkerProcess(t, w.h, {})
  await w.counts('runcast_queue_workers', 1, { queue: 'run' })
  await w.counts('runcast_queue_jobs', 0, { queue: 'run' })
  await w.sees('runcast_queue_head_wait_seconds', none)
  t.same(w.h.faults, [])
})

t.test('queues: what a quota holds back is told apart from what a worker could take', async (t) => {
  const w = await watch(t, { env: { MAX_ACTIVE_JOBS_PER_USER: '2' } })
  for (let i = 0; i < 5; i += 1) await w.h.submit()
  await w.counts('runcast_queue_jobs', 2, { queue: 'run', state: 'active' })
  await w.counts('runcast_queue_jobs', 0, { queue: 'run', state: 'waiting' })
  await w.counts('runcast_queue_jobs', 3, { queue: 'run', state: 'held' })
  await w.h.submit({ sub: 'bob' })
  await w.h.submit({ sub: 'bob' })
  await w.counts('runcast_queue_jobs', 1, { queue: 'run', state: 'waiting' })
  await w.counts('runcast_queue_jobs', 3, { queue: 'run', state: 'held' })
})

t.test('jobs by status are told by the one process that sweeps', async (t) => {
  const w = await watch(t, { env: { SWEEP_INTERVAL_MS: '200' } })
  const plays = await Promise.all([await w.h.submit(), await w.h.submit()].map((id) => w.stage.play(id)))
  const running = { kind: 'run', status: 'running' }
  const by = async () => [(await w.hub()).sum('runcast_jobs', running), (await w.worker()).sum('runcast_jobs', running)].sort()
  await eventually(async () => String(await by()) === '0,2')
  w.saw('runcast_jobs')
  for (const { complete } of plays) complete()
  await eventually(async () => String(await by()) === '0,0')
})

t.test('jobs that wait for their turn are not among the jobs by status', async (t) => {
  const { h } = await watch(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new RangeError('no node')
  const ids = [await h.submit(), await h.submit(), await h.submit()]
  const care = { source: 'sweeper', cancelGraceMs: 1000, lockMs: 10_000, heldMs: 60_000, lostLocks: new LostLockTracker() } as const
  const counts = new JobCounts()
  for (const id of ids) await reconcile(parts, { id, round: 1 }, { ...care, counts })
  counts.swept()
  t.same(counts.counts, [['run', 'queued', 1]], 'the one that was handed out')
})

t.test('steps of a queue of steps are counted while they go on', async (t) => {
  const { h } = await watch(t, { processor: null })
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new RangeError('no node')
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const onFault = (error: unknown) => t.fail(String(error))
  const { REDIS_URL: url, WORKER_LOCK_MS: lockDurationMs } = h.config
  const worker = new StepWorker({
    queue: 'steps',
    step: () => ended,
    tally: new WorkTally(),
    ports: parts,
    url,
    prefix: new RedisKeys(h.redis.prefix).queues(),
    lockDurationMs,
    onFault,
  })
  t.equal(worker.isConsuming, false)
  await worker.start()
  t.equal(worker.isConsuming, true)
  t.equal(worker.running, 0)
  await parts.backlog.step({ queue: 'steps', id: 'job', round: 1 }, 'first')
  await eventually(() => worker.running === 1)
  end()
  await eventually(() => worker.running === 0)
  await worker.close()
  t.equal(worker.isConsuming, false)
})

t.test('claims over HTTP: who waits, what was handed out, and posts that come too late', async (t) => {
  const w = await watch(t, { processor: null })
  const claimant = new Claimant(w.h)
  const claiming = claimant.claim()
  await w.counts('runcast_claims_waiting', 1)
  await w.h.submit()
  await claiming
  await w.counts('runcast_claims_waiting', 0)
  await w.counts('runcast_claims_total', 1, { queue: 'run' })
  await w.counts('runcast_attempts_started_total', 1, { queue: 'run' })
  await claimant.post([{ type: 'completed', metrics_summary: {} }])
  await w.counts('runcast_attempts_ended_total', 1, { queue: 'run', how: 'done' })
  await claimant.post([], { token: 99 })
  await w.counts('runcast_fenced_writes_total', 1, { reason: 'stale_writer' })
  t.same(w.h.faults, [])
})

t.test('an optimization: its steps, and its runs as runs', async (t) => {
  const w = await watch(t, { processor: async (input) => ({ metrics_summary: measure(input) }), env: { WORKER_KINDS: 'run,optimization' } })
  const id = await optimize(w.h, 'opt-of-metrics')
  await (await w.h.connect(id, { path: 'optimizations' })).next('completed')
  await w.sees('runcast_steps_total', some, {}, 'worker')
  await w.counts('runcast_jobs_submitted_total', 1, { kind: 'optimization' })
  await w.counts('runcast_jobs_submitted_total', 40, { kind: 'run' }, 'worker')
})

t.test('two hubs of one process count apart', async (t) => {
  const w = await watch(t, { nodes: 2, processor: null })
  const id = await w.h.submit()
  await (await w.h.connect(id, { node: 1 })).next('status')
  t.equal((await w.hub(1)).sum('runcast_connections'), 1)
  t.equal((await w.hub(0)).sum('runcast_connections'), 0)
  t.equal((await w.hub(1)).sum('runcast_jobs_submitted_total'), 0)
  t.equal((await w.hub(0)).sum('runcast_jobs_submitted_total'), 1)
  const [a, b] = [await w.hub(0), await w.hub(1)].map((read) => read.lines.filter(({ name }) => name === 'runcast_queue_jobs'))
  t.same(a, b, 'of queues both say the same')
})

t.test('each metric about jobs was seen moving, and all are as declared', async (t) => assertDeclared(t, 'jobs'))

t.test('hubs and workers serve every metric and label of the Grafana dashboard', async (t) => assertDashboard(t))
