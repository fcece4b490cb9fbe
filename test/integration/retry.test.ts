import t from 'tap'
import type { Parts } from '../../src/app/parts.js'
import { finalize } from '../../src/jobs/finalize.js'
import { JobService } from '../../src/jobs/job-service.js'
import { JobFailure } from '../../src/worker/processor.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { overriding } from '../support/overriding.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'
import { assertComplete, assertShapes } from '../support/wire.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const NOT_FINAL = { status: 409, body: { error: 'not_final' } }
const everyone = () => true

function partsOf(h: Harness): Parts {
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new Error('no node')
  return parts
}

t.test('[RETRY-1] a run that failed runs again in a new round, and who watches sees it on the same socket', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor })
  const id = await h.submit()
  const first = await stage.play(id)
  const clients = [await h.connect(id), await h.connect(id, { node: 1 })]
  for (const client of clients) await client.next('status')
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), NOT_FINAL, 'not while it runs')
  first.job.progress({ percent: 70, phase: 'solving', message: 'nearly' })
  first.job.metric('m', 1, 'Hz')
  first.fail(new JobFailure('solver_error', 'diverged'))
  for (const client of clients) t.match(await client.next('error'), { error: 'diverged' })
  const { body: failed } = await h.call('GET', `/api/v2/runs/${id}`)

  const answer = await h.call('POST', `/api/v2/runs/${id}/retry`, { node: 1 })
  t.match(answer, {
    status: 202,
    body: { run_id: id, status: 'queued', created_at: failed.created_at, links: { self: `/api/v2/runs/${id}` } },
  })
  for (const client of clients) {
    t.match(await client.next('status'), { status: 'queued', attempt: 1, seq: failed.seq + 1 })
    t.match(await client.next('status'), { status: 'running', attempt: 1, seq: failed.seq + 2 })
  }
  const second = await eventually(() => stage.playsOf(id)[1])
  t.same(second.input, first.input, 'with the same input')
  const { body: again } = await h.call('GET', `/api/v2/runs/${id}`)
  t.match(again, { status: 'running', percent: null, metrics: {}, finished_at: null, result: null, epoch: failed.epoch })
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), NOT_FINAL)
  second.complete({ m: 2 })
  for (const client of clients) {
    t.match(await client.next('completed'), { metrics_summary: { m: 2 } })
    assertComplete(t, client.messages)
    assertShapes(t, client.messages)
  }
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), NOT_FINAL, 'nor when it has completed')
  const parts = partsOf(h)
  for (const round of [1, 2]) {
    await eventually(async () => (await parts.queue.state({ queue: 'run', id, round })).at === 'missing')
  }
  await eventually(async () => (await parts.store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
  t.same((await h.call('GET', '/api/v2/runs')).body.runs.length, 1, 'it is one run')
  t.same(h.faults, [])
})

t.test('[RETRY-1] a run that was cancelled while it waited runs when it is retried; others cannot', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { WORKER_CONCURRENCY: '1' } })
  const before = await stage.play(await h.submit())
  const id = await h.submit()
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  for (const path of [
    `/api/v2/runs/${id}/retry`,
    `/api/processes/${id}/retry`,
    '/api/v2/runs/no-such-run/retry',
    '/api/v2/runs/%zz/retry',
  ]) {
    t.match(await h.call('POST', path, { sub: 'bob' }), { status: 404, body: { error: 'not_found' } }, path)
  }
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`, { token: null }), { status: 401 })
  const accepted = { process_id: id, process_type: 'solver', status: 'queued', links: { retry: `/api/processes/${id}/retry` } }
  t.match(await h.call('POST', `/api/processes/${id}/retry`), { status: 202, body: accepted })
  before.complete()
  const play = await stage.play(id)
  t.equal(stage.playsOf(id).length, 1)
  play.complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  t.same(h.faults, [])
})

t.test('[RETRY-2] many retries at the same moment open one round', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '8' } })
  const id = await h.submit()
  for (let round = 1; round <= 10; round += 1) {
    const play = await eventually(() => stage.playsOf(id)[round - 1])
    play.fail(new JobFailure('solver_error', `round ${round}`))
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'failed')
    const answers = await Promise.all([0, 1, 0, 1].map((node) => h.call('POST', `/api/v2/runs/${id}/retry`, { node })))
    t.ok(answers.some(({ status }) => status === 202))
    for (const { status, body } of answers) t.ok(status === 202 || body.error === 'not_final', JSON.stringify(body))
    t.equal((await partsOf(h).broker.read(id))?.state.round, round + 1)
  }
  const last = await eventually(() => stage.playsOf(id)[10])
  last.complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  t.equal(stage.playsOf(id).length, 11, 'each round was computed once')
  const { events } = (await h.call('GET', `/api/v2/runs/${id}/events`)).body
  t.equal(events.filter(({ status }: { status?: string }) => status === 'queued').length, 11)
  t.same(h.faults, [])
})

t.test(
  '[RETRY-1] [PROC-9] a retry that comes with the final message, while its round is still cleared away: on the socket of the user',
  async (t) => {
    const ROUNDS = 25
    let failing = true
    const h = await startHarness(t, {
      nodes: 2,
      processor: async () => {
        if (failing) throw new JobFailure('solver_error', 'again')
        return { metrics_summary: {} }
      },
    })
    const open = async (node: number) => {
      const client = new TestClient(`${h.nodes[node]?.ws}/ws?token=${h.token()}`)
      h.onTeardown(() => client.terminate())
      await client.next('process_list')
      return client
    }
    const tabs = [await open(0), await open(1)]
    const id = await h.submit()
    const told = ['process_queued', 'process_started', 'process_failed']
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const tab of tabs) for (const type of told) t.match(await tab.next(), { type, process_id: id }, `round ${round}`)
      if (round === ROUNDS) failing = false
      t.match(await h.call('POST', `/api/processes/${id}/retry`, { node: round % 2 }), { status: 202 })
    }
    for (const tab of tabs) {
      for (const type of ['process_queued', 'process_started', 'process_completed']) t.match(await tab.next(), { type })
      const seqs = tab.messages.flatMap(({ seq }) => seq ?? [])
      t.same(
        seqs,
        Array.from({ length: 3 * ROUNDS + 3 }, (_, i) => i + 1),
        'each once and in order',
      )
    }
    const { feeds, store } = partsOf(h)
    await eventually(async () => (await store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
    t.match(await feeds.read('alice'), { active: [], ended: [id] })
    t.same(h.faults, [])
  },
)

t.test('[RETRY-2] a retry that dies between any two steps is completed by the sweeper, or never was', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = partsOf(h)
  const { broker, store, queue } = parts
  const dies = () => Promise.reject(new Error('died here'))
  const deaths: [name: string, service: JobService, isWritten: boolean][] = [
    ['before anything', new JobService({ ...parts, store: overriding(store, 'activate', dies) }), false],
    ['before the round is written', new JobService({ ...parts, broker: overriding(broker, 'publish', dies) }), false],
    ['before it is made known', new JobService({ ...parts, store: overriding(store, 'reactivate', dies) }), true],
    ['before it is announced', new JobService({ ...parts, feeds: overriding(parts.feeds, 'add', dies) }), true],
    ['before it is enqueued', new JobService({ ...parts, queue: overriding(queue, 'add', dies) }), true],
  ]
  for (const [name, service, isWritten] of deaths) {
    const id = await h.submit()
    const play = await stage.play(id)
    play.fail(new JobFailure('solver_error', 'first'))
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'failed')
    await t.rejects(service.retry(id, everyone), { message: 'died here' }, name)
    if (!isWritten) {
      await eventually(async () => (await store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
      t.match((await h.call('GET', `/api/v2/runs/${id}`)).body, { status: 'failed' }, `${name}: as if nothing had been asked`)
      t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), { status: 202 }, `${name}: it can be asked again`)
    }
    const second = await eventually(() => stage.playsOf(id)[1])
    second.complete()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
    t.equal(stage.playsOf(id).length, 2, name)
    await eventually(async () => (await store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
  }
})

t.test('[RETRY-2] a sweeper that comes between index and round does not lose the job', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = partsOf(h)
  const { broker, store, queue } = parts
  const id = await h.submit()
  const play = await stage.play(id)
  play.fail(new JobFailure('solver_error', 'first'))
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'failed')
  const isIndexed = async () => (await store.active(Number.MAX_SAFE_INTEGER, 10)).some((round) => round.id === id && round.round === 2)
  const late = overriding(broker, 'publish', async (...args: Parameters<typeof broker.publish>) => {
    t.ok(await isIndexed())
    await eventually(async () => !(await isIndexed()))
    return broker.publish(...args)
  })
  // And then it dies before it is in the queue.
  const dead = overriding(queue, 'add', () => Promise.reject(new Error('died here')))
  await t.rejects(new JobService({ ...parts, broker: late, queue: dead }).retry(id, everyone), { message: 'died here' })
  const second = await eventually(() => stage.playsOf(id)[1])
  second.complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
})

t.test('[RETRY-2] the end of a round that is told late leaves the next round alone', async (t) => {
  const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = partsOf(h)
  const { store, queue } = parts
  const id = await h.submit()
  // Cancelled, but its end is not cleared away yet.
  const blocked = overriding(queue, 'remove', async () => false)
  await new JobService({ ...parts, queue: blocked }).cancel(id, everyone)
  t.match(await h.call('POST', `/api/v2/runs/${id}/retry`), { status: 202, body: { status: 'queued' } })
  await eventually(async () => (await queue.state({ queue: 'run', id, round: 1 })).at === 'missing')
  await eventually(async () => (await store.active(Number.MAX_SAFE_INTEGER, 10)).every(({ round }) => round === 2))
  t.same(await queue.state({ queue: 'run', id, round: 2 }), { at: 'waiting' })
  t.same(
    (await store.active(Number.MAX_SAFE_INTEGER, 10)).map((round) => round.id),
    [id],
    'the sweeper still looks after it',
  )
  t.match(await parts.feeds.read('alice'), { active: [id], ended: [] }, 'and its owner is told that it is active')
  t.same(h.faults, [])
})

t.test(
  '[RETRY-2] a retry between the end of a round and what is told of it to the owner: the job stays among the active ones',
  async (t) => {
    const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
    const parts = partsOf(h)
    const id = await h.submit()
    let calls = 0
    const late = overriding(parts.feeds, 'remove', async (owner, ended) => {
      calls += 1
      if (calls === 1) await new JobService(parts).retry(id, everyone)
      return parts.feeds.remove(owner, ended)
    })
    await finalize({ ...parts, feeds: late }, { queue: 'run', id, round: 1 }, { status: 'cancelled' }, 'worker')
    t.match(await parts.feeds.read('alice'), { active: [id], ended: [] })
    t.same(await parts.store.active(Number.MAX_SAFE_INTEGER, 10), [{ id, round: 2 }])
    t.same(await parts.queue.state({ queue: 'run', id, round: 2 }), { at: 'waiting' })
    t.equal(calls, 1)
    t.same(h.faults, [])
  },
)
