import { Queue } from 'bullmq'
import t from 'tap'
import { buildWorkerNode } from '../../src/app/worker-node.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { stepOptimization } from '../../workers/optimization/optimization-step.js'
import { optimizationWork } from '../../workers/optimization/work.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { type RunProcessor, runsBy } from '../support/kinds.js'
import { endless, measure, optimize, TWO_OBJECTIVES } from '../support/optimizations.js'
import { overriding } from '../support/overriding.js'
import { solversFile, startSolvers } from '../support/solvers.js'
import type { Message } from '../support/test-client.js'
import { startWorkerProcess } from '../support/worker-process.js'

const SMALL = { ...TWO_OBJECTIVES, population: 6, generations: 3, parallel: 4 }
const TOTAL = SMALL.population * SMALL.generations
const KINDS = { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '2' }
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const numbersOf = (iterations: readonly Message[]) => iterations.map(({ iteration }) => iteration)

/** A program that measures as `measure` does. */
const PARABOLA = `
const { width_mm: w, height_mm: h } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
console.log(JSON.stringify({ type: 'completed', metrics_summary: { cost: w * w, gain: w + h / 100, strain: h / 140 } }))
`

/** Obeys at once, and is quick. */
const measured: RunProcessor = async (input, job) => {
  job.signal.throwIfAborted()
  return { metrics_summary: measure(input) }
}

t.test('[OPT-5] what waits when it is paused is taken back at once, and runs again in another run', async (t) => {
  const started: string[] = []
  let isOpen = false
  const held: RunProcessor = async (input, job) => {
    started.push(job.id)
    await eventually(() => isOpen || job.signal.aborted)
    return measured(input, job)
  }
  const h = await startHarness(t, { env: KINDS, processor: held })
  const id = await optimize(h, 'held', SMALL)
  const client = await h.connect(id, { path: 'optimizations' })
  const { broker } = h.nodes[0]?.hub.parts ?? {}
  await eventually(async () => started.length === 2 && (await broker?.load(id))?.children.length === 4)
  const before = (await broker?.load(id))?.children ?? []
  await h.call('POST', `/api/v2/optimizations/${id}/pause`)
  const waiting = before.filter((run) => !started.includes(run))
  for (const run of waiting) await eventually(async () => (await broker?.read(run))?.state.status === 'cancelled')
  isOpen = true
  await eventually(() => client.all('optimization_iteration').length === 2)
  await client.silence(300)
  t.equal(started.length, 2, 'no other run begins')
  await h.call('POST', `/api/v2/optimizations/${id}/resume`)
  await client.next('completed')
  const runs = client.all('optimization_iteration').map(({ run_id }) => run_id)
  t.equal(runs.length, TOTAL)
  t.same(
    runs.filter((run) => waiting.includes(run)),
    [],
  )
})

t.test('[OPT-7] a step that dies between any two of its acts is taken up by the next one: the same evaluations, each once', async (t) => {
  const h = await startHarness(t, { env: { WORKER_KINDS: 'run', SWEEP_INTERVAL_MS: '600000' }, processor: measured })
  const parts = h.nodes[0]?.hub.parts
  const jobs = h.nodes[0]?.hub.jobs
  if (!parts || !jobs) throw new Error('no node')
  const died = new Error('died here')
  const whole = { ...parts, jobs, maxEventBytes: 262_144 }
  /** Dies before or after one of its acts: the `n`-th. */
  const dying = (n: number) => {
    let acts = 0
    const act = async <T>(does: () => Promise<T>): Promise<T> => {
      acts += 1
      if (acts === n) throw died
      const answer = await does()
      if (acts === n + 1) throw died
      return answer
    }
    const broker = overriding(parts.broker, 'advance', (...args) => act(() => parts.broker.advance(...args)))
    return { ...whole, broker, jobs: overriding(jobs, 'submit', (submission) => act(() => jobs.submit(submission))) }
  }
  const id = await optimize(h, 'mortal', SMALL)
  const client = await h.connect(id, { path: 'optimizations' })
  let deaths = 0
  for (let n = 1; client.all('completed').length === 0 && n < 2000; n += 1) {
    const step = () =>
      stepOptimization(dying((n % 5) + 1), id).catch((error: unknown) => {
        if (error !== died) throw error
        deaths += 1
      })
    // Now and then several at once.
    await Promise.all(n % 4 === 0 ? [step(), stepOptimization(whole, id), step()] : [step()])
    await h.worker?.parts.queue.dispatch()
  }
  await client.next('completed')
  t.ok(deaths > 10, `${deaths} deaths`)
  t.same(numbersOf(client.all('optimization_iteration')), upTo(TOTAL))
  t.equal(new Set(client.all('optimization_iteration').map(({ run_id }) => run_id)).size, TOTAL)
})

t.test('[OPT-7] where every step was lost, the sweeper’s look goes on', async (t) => {
  const h = await startHarness(t, { env: { WORKER_KINDS: 'run', SWEEP_INTERVAL_MS: '200' }, processor: measured })
  const id = await optimize(h, 'forgotten', SMALL)
  const client = await h.connect(id, { path: 'optimizations' })
  const { parts, jobs } = h.nodes[0]?.hub ?? {}
  if (!parts || !jobs) throw new Error('no node')
  await stepOptimization({ ...parts, jobs, maxEventBytes: 262_144 }, id)
  await parts.queue.started({ queue: 'optimization', id, round: 1 })
  const runs = (await parts.broker.load(id))?.children ?? []
  for (const run of runs) await eventually(async () => (await parts.broker.read(run))?.state.status === 'completed')
  // Once each has left the sweeper's index, it has told its optimization.
  await eventually(async () => (await parts.store.active(Number.MAX_SAFE_INTEGER, 100)).length === 1)
  t.equal(client.all('optimization_iteration').length, 0, 'what the runs have brought waits in the queue of steps')
  const steps = new Queue('optimization', { connection: { url: h.redis.url }, prefix: new RedisKeys(h.config.REDIS_PREFIX).queues() })
  await steps.obliterate({ force: true })
  await steps.close()
  startWorkerProcess(t, h, { WORKER_KINDS: 'optimization' })
  await client.next('completed')
  t.same(numbersOf(client.all('optimization_iteration')), upTo(TOTAL))
})

t.test('[OPT-6] a run that was submitted while its optimization ended is ended too', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, SWEEP_INTERVAL_MS: '200' }, processor })
  const id = await optimize(h, 'over', SMALL)
  await eventually(() => running.size > 0)
  await h.call('POST', `/api/v2/optimizations/${id}/cancel`)
  await eventually(async () => (await h.call('GET', `/api/v2/optimizations/${id}`)).body.status === 'cancelled')
  const late = await h.nodes[0]?.hub.jobs.submit({ id: 'late', owner: 'alice', kind: 'run', input: HORN, parent: id })
  t.equal(late?.parent, id)
  await eventually(async () => (await h.call('GET', '/api/v2/runs/late')).body.status === 'cancelled', { timeoutMs: 30_000 })
  await eventually(() => running.size === 0)
})

t.test('[OPT-6] a paused optimization is cancelled at once, with the runs that it still has; a retry begins anew', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: KINDS, processor })
  const id = await optimize(h, 'paused', SMALL)
  const client = await h.connect(id, { path: 'optimizations' })
  await eventually(() => running.size === 2)
  await h.call('POST', `/api/v2/optimizations/${id}/pause`)
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/cancel`), { status: 202, body: { status: 'cancelled' } })
  await client.next('cancelled')
  await eventually(() => running.size === 0)
  t.match(await h.call('POST', `/api/v2/optimizations/${id}/retry`), { status: 202 })
  await eventually(() => running.size === 2)
  t.match((await h.call('GET', `/api/v2/optimizations/${id}`)).body, { status: 'running', counters: { evaluated: 0 }, front: [] })
  await h.call('POST', `/api/v2/optimizations/${id}/cancel`)
  await client.next('cancelled')
  await eventually(() => running.size === 0)
})

t.test('[OPT-3] without a worker that has its solver it waits and says why, in one line of the log', async (t) => {
  const search = { ...SMALL, population: 2, generations: 1 }
  const SOLVERS_FILE = solversFile(t, { name: 'parabola', args: ['-e', PARABOLA] })
  const h = await startHarness(t, { processor: null, env: { ...KINDS, SOLVERS_FILE, SWEEP_INTERVAL_MS: '100' } })
  const id = await optimize(h, 'stranded', { ...search, solver: 'parabola' })
  const client = await h.connect(id, { path: 'optimizations' })
  const logged: object[] = []
  const log = { info: () => {}, warn: (fields: object) => logged.push(fields), error: (fields: object) => h.faults.push(fields) }
  const ignorant = await buildWorkerNode({ ...h.config, SOLVERS_FILE: '' }, [runsBy(measured), optimizationWork], log)
  t.teardown(() => ignorant.close())
  await ignorant.start()
  const why = 'No worker with the solver parabola has taken a step (SOLVERS_FILE).'
  t.match(await client.next('progress'), { message: `Waiting. ${why}`, evaluated: 0 })
  const steps = async () => Number(/^runcast_steps_total (\d+)/m.exec(await ignorant.scrape.text())?.[1])
  const before = await steps()
  await eventually(async () => (await steps()) > before + 3)
  // Steps that ran at once may each have found that nothing said so yet; those that came later find it said.
  const events = client.all('progress').length
  await eventually(async () => (await steps()) > before + 6)
  t.same(logged, [{ job: id, kind: 'optimization', why }], 'however often it is looked at')
  t.equal(client.all('progress').length, events)
  await ignorant.close()
  const able = await buildWorkerNode(h.config, [runsBy(measured), optimizationWork], log, { env: process.env })
  t.teardown(() => able.close())
  await able.start()
  t.match(await client.next('completed'), { evaluated: 2 })
  t.same(h.faults, [])
})

t.test('[OPT-6] one that runs out of its time fails, and ends its runs', async (t) => {
  const { running, processor } = endless()
  const h = await startHarness(t, { env: { ...KINDS, SWEEP_INTERVAL_MS: '200', CANCEL_GRACE_MS: '200' }, processor })
  const id = await optimize(h, 'late', { ...SMALL, job_timeout_s: 1 })
  const client = await h.connect(id, { path: 'optimizations' })
  t.match(await client.next('error'), { code: 'timeout', optimization_id: id })
  await eventually(() => running.size === 0)
})

t.test('[OPT-3] [SOLVER-2] its runs are computed by any solver of the configuration, with fields that only that one knows', async (t) => {
  const file = solversFile(t, { name: 'parabola' })
  const { harness: h } = await startSolvers(t, file, { WORKER_KINDS: 'run,optimization' })
  const input = {
    solver: 'parabola',
    base: { fixed: 1, place: { y: 9 } },
    variables: [
      { name: 'place.x', min: -4, max: 4, step: 1 },
      { name: 'place.y', min: -4, max: 4, step: 1 },
    ],
    objectives: [{ metric: 'height', direction: 'minimize' }],
    population: 4,
    generations: 2,
    strategy: 'random',
  }
  const client = await h.connect(await optimize(h, 'parabola', input), { path: 'optimizations' })
  await client.next('completed')
  const iterations = client.all('optimization_iteration')
  t.equal(iterations.length, 8)
  for (const { parameters, metrics } of iterations) {
    t.equal(metrics.height, parameters['place.x'] ** 2 + parameters['place.y'] ** 2 + 1, 'the fixed part came along')
    t.ok(Number.isInteger(parameters['place.x']))
  }
  const { best } = client.all('pareto_front').at(-1)
  t.equal(best.metrics.height, Math.min(...iterations.map(({ metrics }) => metrics.height)))
})
