import t from 'tap'
import { JobCounts } from '../../src/jobs/sweeper/job-counts.js'
import { LostLockTracker } from '../../src/jobs/sweeper/lost-lock-tracker.js'
import { reconcile } from '../../src/jobs/sweeper/reconcile.js'
import { isFinal } from '../../src/protocol/status.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { endless, optimize, TWO_OBJECTIVES } from '../support/optimizations.js'
import { overriding } from '../support/overriding.js'
import { killProcess, startWorkerProcess } from '../support/worker-process.js'

const SMALL = { ...TWO_OBJECTIVES, population: 6, generations: 3, parallel: 4 }
const KINDS = { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '2' }

function partsOf({ nodes }: Harness) {
  const [node] = nodes
  if (!node) throw new Error('no node')
  return node.hub.parts
}

t.test('[OPT-5] [OPT-6] a paused optimization runs out of its time like any other, and its runs end', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, SWEEP_INTERVAL_MS: '200', CANCEL_GRACE_MS: '200' }, processor })
  const id = await optimize(h, 'paused', { ...SMALL, job_timeout_s: 1 })
  const client = await h.connect(id, { path: 'optimizations' })
  await eventually(() => running.size === 2)
  await h.call('POST', `/api/v2/optimizations/${id}/pause`)
  t.match(await client.next('error'), { code: 'timeout' })
  await eventually(() => running.size === 0)
  await eventually(async () => (await partsOf(h).broker.load(id)) === null)
  t.same(h.faults, [])
})

t.test('[OPT-6] a cancel ends the runs before `cancelled` is published', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, SWEEP_INTERVAL_MS: '600000' }, processor })
  const id = await optimize(h, 'at-once', SMALL)
  const client = await h.connect(id, { path: 'optimizations' })
  await eventually(() => running.size === 2)
  const { broker } = partsOf(h)
  const runs = (await broker.load(id))?.children ?? []
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/cancel`), { body: { status: 'cancelling' } })
  await client.next('cancelled')
  for (const run of runs) t.equal((await broker.read(run))?.state.status, 'cancelled')
  t.equal(running.size, 0)
})

t.test('[OPT-6] runs whose worker was killed end, although their optimization was over before them', async (t) => {
  const env = { WORKER_LOCK_MS: '1000', CANCEL_GRACE_MS: '500', SWEEP_INTERVAL_MS: '300' }
  const h = await startHarness(t, { env: { ...env, WORKER_KINDS: 'optimization' } })
  const worker = startWorkerProcess(t, h, { ...env, WORKER_CONCURRENCY: '2' })
  const { broker } = partsOf(h)
  const id = await optimize(h, 'over', {
    ...SMALL,
    base: { ...SMALL.base, sweep: { points: 401 }, mesh: { elements_x: 16, elements_y: 80 } },
  })
  const runs = await eventually(async () => {
    const { children = [] } = (await broker.load(id)) ?? {}
    const states = await Promise.all(children.map(async (child) => (await broker.read(child))?.state.status))
    return children.length === 4 && states.includes('running') && children
  })
  await h.call('POST', `/api/v2/optimizations/${id}/pause`)
  await killProcess(worker)
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/cancel`), { body: { status: 'cancelled' } })
  for (const run of runs)
    await eventually(async () => isFinal((await broker.read(run))?.state.status ?? 'cancelled'), { timeoutMs: 30_000, everyMs: 50 })
  await eventually(async () => (await broker.load(id)) === null, { timeoutMs: 30_000 })
})

t.test('[OPT-6] a retry that comes before anybody has wound down what was before: the old runs end, and the new ones go on', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, WORKER_KINDS: 'run', SWEEP_INTERVAL_MS: '300' }, processor })
  const steps = startWorkerProcess(t, h, { WORKER_KINDS: 'optimization', WORKER_LOCK_MS: '1000' })
  const id = await optimize(h, 'again', SMALL)
  await eventually(() => running.size === 2)
  const before = [...running]
  await killProcess(steps)
  await h.call('POST', `/api/v2/optimizations/${id}/pause`)
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/cancel`), { body: { status: 'cancelled' } })
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/retry`), { status: 202 })
  startWorkerProcess(t, h, { WORKER_KINDS: 'optimization', WORKER_LOCK_MS: '1000' })
  await eventually(() => before.every((run) => !running.has(run)) && running.size === 2, { timeoutMs: 30_000 })
  t.match((await h.call('GET', `/api/v2/optimizations/${id}`)).body, { status: 'running', counters: { evaluated: 0 } })
})

t.test('[OPT-6] a round that is looked after late leaves the runs and the checkpoint of the next one alone', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, SWEEP_INTERVAL_MS: '600000' }, processor })
  const id = await optimize(h, 'late', SMALL)
  await eventually(() => running.size === 2)
  const parts = partsOf(h)
  await h.call('POST', `/api/v2/optimizations/${id}/cancel`)
  await eventually(async () => (await parts.broker.read(id))?.state.status === 'cancelled')
  await eventually(() => running.size === 0)
  /** Between two looks of the sweeper the owner retries, and the next round is under way. */
  let isRetried = false
  const broker = overriding(parts.broker, 'load', async (job) => {
    if (!isRetried) {
      isRetried = true
      await h.call('POST', `/api/v2/optimizations/${id}/retry`)
      await eventually(() => running.size === 2)
    }
    return parts.broker.load(job)
  })
  const care = {
    cancelGraceMs: 10_000,
    lockMs: 10_000,
    heldMs: 1000,
    source: 'sweeper',
    lostLocks: new LostLockTracker(),
    counts: new JobCounts(),
  } as const
  await reconcile({ ...parts, broker }, { id, round: 1 }, care)
  t.equal(running.size, 2)
  t.match(await parts.broker.load(id), { round: 2 })
  t.match((await h.call('GET', `/api/v2/optimizations/${id}`)).body, { status: 'running', counters: { evaluated: 0, failed: 0 } })
})

t.test('[OPT-6] [RETRY-1] a run of an optimization is not retried by itself', async (t) => {
  const h = await startHarness(t, { env: KINDS, processor: endless().processor })
  const id = await optimize(h, 'whole', { ...SMALL, parallel: 1 })
  const { broker } = partsOf(h)
  const [run] = await eventually(async () => {
    const { children = [] } = (await broker.load(id)) ?? {}
    return children.length > 0 && children
  })
  // It stands in the checkpoint before it is submitted.
  await eventually(async () => (await h.call('POST', `/api/v2/runs/${run}/cancel`)).status === 202)
  await eventually(async () => isFinal((await broker.read(run ?? ''))?.state.status ?? 'queued'))
  t.match(await h.call('POST', `/api/v2/runs/${run}/retry`), { status: 409, body: { error: 'is_part' } })
})
