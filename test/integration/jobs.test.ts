import { Redis } from 'ioredis'
import t from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { createClient } from '../../src/index.js'
import { JobFailure } from '../../src/worker/processor.js'
import { Claimant } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { Stage } from '../support/stage.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

/** Some seconds of real solving. */
const LONG = { ...HORN, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 401 } }
const ref = (id: string) => ({ queue: 'run', id, round: 1 }) as const

/** Something a processor waits for until the test lets it go on. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

t.test('[STATE-8] a run that waits is cancelled at once, and never runs', async (t) => {
  const started: string[] = []
  const harness = await startHarness(t, {
    env: { WORKER_CONCURRENCY: '1' },
    processor: async (_input, job) => {
      started.push(job.id)
      await new Promise((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason)))
      return { metrics_summary: {} }
    },
  })
  const running = await harness.submit()
  await eventually(() => started.length === 1)
  const waiting = await harness.submit()
  const client = await harness.connect(waiting)
  await client.next('status')
  const answer = await harness.call('POST', `/api/v2/runs/${waiting}/cancel`)
  t.match(answer, { status: 202, body: { run_id: waiting, status: 'cancelled' } })
  t.match(await client.next(), { type: 'cancelled', run_id: waiting })
  t.match(await harness.call('POST', `/api/v2/runs/${waiting}/cancel`), { status: 409, body: { error: 'already_final' } })
  t.same(await harness.nodes[0]?.hub.parts.queue.state(ref(waiting)), { at: 'missing' })
  await harness.call('POST', `/api/v2/runs/${running}/cancel`)
  await eventually(async () => (await harness.call('GET', `/api/v2/runs/${running}`)).body.status === 'cancelled')
  t.same(started, [running])
  t.same(harness.faults, [])
})

t.test(
  '[STATE-8] a run that solves is cancelled over the other node; the solver really stops, and the next job gets its place',
  async (t) => {
    const harness = await startHarness(t, { nodes: 2, env: { WORKER_CONCURRENCY: '1' } })
    const id = await harness.submit({ input: LONG })
    const client = await harness.connect(id)
    await client.next('progress')
    t.match(await harness.call('POST', `/api/v2/runs/${id}/cancel`, { node: 1 }), { status: 202, body: { status: 'cancelling' } })
    t.match(await client.next('status'), { status: 'cancelling' })
    const cancelled = await client.next('cancelled')
    t.type(cancelled.percent, 'number')
    t.ok(cancelled.percent < 100)
    const next = await harness.connect(await harness.submit())
    await next.next('completed')
    await client.silence(200)
    t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { status: 'cancelled', result: { type: 'cancelled' } })
    t.same(harness.faults, [])
  },
)

t.test('[STATE-8] the control channel lost: the answer to the next write says that a cancel was asked for', async (t) => {
  const harness = await startHarness(t)
  const id = await harness.submit({ input: LONG })
  const client = await harness.connect(id)
  await client.next('progress')
  await harness.nodes[0]?.hub.parts.broker.publish(id, [runEvents.status(id, 'cancelling')], controlWriter(1))
  await client.next('cancelled')
})

t.test('[STATE-8] a processor that is deaf is left behind after the grace, and what it still says is not heard', async (t) => {
  let finish: () => void = () => {}
  let late: () => void = () => {}
  const harness = await startHarness(t, {
    env: { CANCEL_GRACE_MS: '200' },
    processor: async (_input, job) => {
      job.progress({ percent: 10, phase: 'solving', message: 'deaf' })
      late = () => job.metric('late', 1, 'Hz')
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return { metrics_summary: { late: 1 } }
    },
  })
  const id = await harness.submit()
  const client = await harness.connect(id)
  await client.next('progress')
  client.send({ type: 'cancel' })
  await client.next('cancelled')
  late()
  finish()
  await client.silence(200)
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { status: 'cancelled', metrics: {} })
})

t.test('[STATE-10] a failure of the job itself is final and carries the tail of its log', async (t) => {
  let calls = 0
  const harness = await startHarness(t, {
    processor: async (_input, job) => {
      calls += 1
      for (let line = 1; line <= 12; line += 1) job.log(`line ${line}`)
      job.progress({ percent: 42, phase: 'solving', message: 'half way' })
      throw new JobFailure('solver_error', 'Solver failed to converge after 500 iterations')
    },
  })
  const client = await harness.connect(await harness.submit())
  const error = await client.next('error')
  t.match(error, { error: 'Solver failed to converge after 500 iterations', code: 'solver_error', percent: 42, phase: 'solving' })
  t.equal(error.solver_log_tail, Array.from({ length: 10 }, (_, i) => `line ${i + 3}`).join('\n'))
  t.equal(calls, 1)
  t.same(harness.faults, [])
})

t.test('[STATE-1] [STATE-5] an unexpected failure is tried again, in a new attempt that begins at 0', async (t) => {
  let calls = 0
  const watched = gate()
  const processor: RunProcessor = async (_input, job) => {
    await watched.opened
    calls += 1
    job.progress({ percent: calls === 1 ? 80 : 30, phase: 'solving', message: `try ${calls}` })
    job.metric('tries', calls, '1')
    await job.flush()
    if (calls === 1) throw new Error('a hiccup')
    return { metrics_summary: { tries: calls } }
  }
  const harness = await startHarness(t, { processor })
  const client = await harness.connect(await harness.submit())
  await client.next('status')
  watched.open()
  t.match(await client.next('completed'), { metrics_summary: { tries: 2 } })
  const changes = client.messages.filter(({ type, recovered }) => type === 'status' && recovered === undefined)
  t.match(changes.slice(-2), [
    { status: 'retrying', attempt: 2, reason: 'a hiccup' },
    { status: 'running', attempt: 2 },
  ])
  const percents = client.messages.filter(({ type }) => type === 'progress').map(({ percent }) => percent)
  t.equal(percents.at(-1), 30)
})

t.test('[STATE-10] what fails each time fails in the end', async (t) => {
  const watched = gate()
  const harness = await startHarness(t, { processor: () => watched.opened.then(() => Promise.reject(new Error('always'))) })
  const client = await harness.connect(await harness.submit())
  await client.next('status')
  watched.open()
  t.match(await client.next('error'), { error: 'always', code: 'solver_error' })
  t.equal(client.messages.filter(({ status, recovered }) => status === 'retrying' && recovered === undefined).length, 2)
})

t.test('[STATE-6] percent never falls, never says 100 before the end, and the end carries the last progress', async (t) => {
  const watched = gate()
  let seen: () => number = () => 0
  const harness = await startHarness(t, {
    processor: async (_input, job) => {
      await watched.opened
      for (const [i, percent] of [10, 60, 40, 100, 130].entries()) {
        job.progress({ percent, phase: 'postprocessing', message: `${percent}` })
        await eventually(() => seen() > i)
      }
      return { metrics_summary: {} }
    },
  })
  const client = await harness.connect(await harness.submit())
  seen = () => client.messages.filter(({ type }) => type === 'progress').length
  await client.next('status')
  watched.open()
  const completed = await client.next('completed')
  const percents = client.messages.filter(({ type }) => type === 'progress').map(({ percent }) => percent)
  t.same(percents, [10, 60, 60, 99.9, 99.9])
  t.match(completed, { percent: 100, phase: 'postprocessing' })
})

t.test('[STATE-10] a job that reports faster than is taken, and does not wait, fails with that reason', async (t) => {
  const harness = await startHarness(t, {
    processor: async (_input, job) => {
      for (let i = 0; i < 20_000; i += 1) job.metric('m', i, 'Hz')
      await new Promise(() => {})
      return { metrics_summary: {} }
    },
    env: { CANCEL_GRACE_MS: '100' },
  })
  const client = await harness.connect(await harness.submit())
  t.match(await client.next('error'), { error: /^more than 10000 reports wait to be written/ })
})

t.test('[STATE-10] a result that no message can carry fails the job, instead of never ending it', async (t) => {
  const results: Record<string, number>[] = [
    { nothing: Number.NaN },
    Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`metric_${i}`, i])),
  ]
  const harness = await startHarness(t, { processor: async () => ({ metrics_summary: results.shift() ?? {} }) })
  for (const reason of [/The result is not valid: .*nothing/, /The result cannot be published: .* exceeds MAX_EVENT_BYTES/]) {
    const client = await harness.connect(await harness.submit())
    t.match(await client.next('error'), { code: 'solver_error', error: reason })
  }
})

t.test('a control message that is none is passed over', async (t) => {
  const harness = await startHarness(t)
  const redis = new Redis(harness.redis.url)
  t.teardown(() => redis.disconnect())
  for (const garbage of ['', '{', 'null', '[]', '{"cancel":5}']) await redis.publish(`${harness.config.REDIS_PREFIX}:control`, garbage)
  const client = await harness.connect(await harness.submit())
  await client.next('completed')
})

t.test('[STATE-7] the sweeper finishes what a dying process left: not enqueued, ended but not told, told but not cleared', async (t) => {
  const harness = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = harness.nodes[0]?.hub.parts
  if (!parts) throw new Error('no node')
  const record = {
    kind: 'run',
    owner: 'alice',
    input: JSON.stringify(HORN),
    digest: 'd',
    timeoutMs: 3600_000,
    solver: null,
    parent: null,
    generation: 'g',
  } as const
  const create = (id: string) => parts.store.create({ ...record, id, created_at: new Date().toISOString() }, runEvents.status(id, 'queued'))

  await create('not-enqueued')
  await eventually(async () => (await parts.queue.state(ref('not-enqueued'))).at === 'waiting')

  await create('lost')
  await parts.broker.publish('lost', [runEvents.status('lost', 'running')], { round: 1, token: 1, n: 1 })
  await eventually(async () => (await parts.broker.read('lost'))?.state.status === 'failed')
  t.match((await harness.call('GET', '/api/v2/runs/lost')).body, { result: { code: 'worker_lost' } })

  await create('deaf')
  await parts.queue.add({ ...ref('deaf'), owner: 'alice', isFree: false })
  await parts.broker.publish('deaf', [runEvents.status('deaf', 'running'), runEvents.status('deaf', 'cancelling')], {
    round: 1,
    token: 1,
    n: 1,
  })
  await parts.queue.remove(ref('deaf'))
  await eventually(async () => (await parts.broker.read('deaf'))?.state.status === 'cancelled')

  await create('told')
  await parts.broker.publish('told', [runEvents.cancelled('told', {})], controlWriter(1))
  await eventually(async () => !(await parts.store.active(Date.now() + 1e6, 10)).some(({ id }) => id === 'told'))
  await eventually(async () => (await parts.store.active(Date.now() + 1e6, 10)).length === 1)
  t.same(harness.faults, [])
})

t.test('[STATE-7] a job that ended in the queue while its worker could not tell is told by the sweeper', async (t) => {
  const harness = await startHarness(t, { env: { SWEEP_INTERVAL_MS: '100' }, processor: async () => ({ metrics_summary: { answer: 42 } }) })
  const worker = harness.worker
  if (!worker) throw new Error('no worker')
  // The worker's own hook finds no queue to ask; the sweeper of the hub does, since the worker's takes no turn.
  await worker.parts.sweeper.close()
  worker.parts.queue.state = () => Promise.reject(new Error('gone'))
  const client = await harness.connect(await harness.submit())
  t.match(await client.next('completed'), { metrics_summary: { answer: 42 } })
})

t.test('[TRACE-1] the trace of a submit reaches the worker, claims, the end and the log', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const trace = (n: number) => `00-${String(n).repeat(32)}-00f067aa0ba902b7-01`
  const submit = async (id: string, traceparent?: string) => {
    const answer = await h.call('POST', '/api/v2/runs', {
      body: { run_id: id, input: HORN },
      headers: { ...(traceparent && { traceparent }) },
    })
    t.equal(answer.status, 202, id)
  }
  await submit('traced', trace(1))
  await submit('traced', trace(2))
  const { job, complete } = await stage.play('traced')
  t.equal(job.traceparent, trace(1), 'the same submit again changes nothing')
  complete()
  const ended = await eventually(() => h.logged.find((line) => 'job' in line && line.job === 'traced' && 'trace_id' in line))
  t.match(ended, { text: 'job ended', trace_id: '1'.repeat(32) })
  t.match((await h.call('GET', '/api/v2/runs/traced')).body.result, { type: 'completed', trace_id: '1'.repeat(32) })
  t.match((await h.call('GET', '/api/processes/traced')).body.result, { type: 'process_completed', trace_id: '1'.repeat(32) })
  for (const [id, invalid] of [
    ['untraced', undefined],
    ['zeros', trace(0)],
    ['text', 'no trace'],
  ] as const) {
    await submit(id, invalid)
    const { job, complete } = await stage.play(id)
    t.equal(job.traceparent, undefined, id)
    complete()
  }
  const client = createClient({ url: h.nodes[0]?.http ?? '', token: h.token() })
  t.teardown(() => client.close())
  await client.submit('run', HORN, { id: 'of-client', traceparent: trace(3) })
  t.equal((await stage.play('of-client')).job.traceparent, trace(3))
  await t.rejects(client.submit('run', HORN, { traceparent: 'x' }), { code: 'invalid' })

  await h.worker?.close()
  await submit('claimed', trace(4))
  const claimant = new Claimant(h)
  const { body } = await claimant.claim()
  t.match(body, { traceparent: /^00-/ })
  t.same(h.faults, [])
})
