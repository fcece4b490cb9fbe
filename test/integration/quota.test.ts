import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { createJobs } from '../../src/index.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { JobFailure } from '../../src/worker/processor.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { solversFile } from '../support/solvers.js'
import { type Play, Stage } from '../support/stage.js'

const ref = (id: string) => ({ queue: 'run', id, round: 1 }) as const

interface Place {
  readonly h: Harness
  readonly stage: Stage
  readonly admin: Redis
  statusOf(id: string): Promise<string>
  at(id: string): Promise<string | undefined>
}

async function open(t: Test, env: Record<string, string>): Promise<Place> {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100', ...env } })
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  const statusOf = async (id: string) => (await h.call('GET', `/api/v2/runs/${id}`)).body.status
  const at = async (id: string) => (await h.nodes[0]?.hub.parts.queue.state(ref(id)))?.at
  return { h, stage, admin, statusOf, at }
}

t.test('[QUOTA-1] beyond the quota a job waits, is queued like any other, and stands in nobody else’s way', async (t) => {
  const { h, stage, statusOf, at } = await open(t, { MAX_ACTIVE_JOBS_PER_USER: '2', WORKER_CONCURRENCY: '8' })
  const ids = [await h.submit(), await h.submit(), await h.submit()]
  const [first = '', second = '', third = ''] = ids
  for (const id of [first, second]) await stage.play(id)
  t.equal(await statusOf(third), 'queued')
  t.equal(await at(third), 'held')
  const client = await h.connect(third, { node: 1 })
  t.match(await client.next('status'), { status: 'queued' })
  const bob = await h.submit({ sub: 'bob' })
  const play = await stage.play(bob)
  play.complete()
  t.equal(stage.playsOf(third).length, 0)
  const waits = await h.submit()
  t.match(await h.call('POST', `/api/v2/runs/${waits}/cancel`, { node: 1 }), { status: 202, body: { status: 'cancelled' } })
  t.equal(await at(waits), 'missing', 'one that waits is cancelled at once')
  const running = await stage.play(first)
  running.complete()
  const last = await stage.play(third)
  last.complete()
  t.match(await client.next('completed'), { run_id: third })
  t.same(
    stage.plays.filter(({ job }) => job.id === waits),
    [],
  )
  t.same(h.faults, [])
})

t.test('[QUOTA-4] who has as much in Redis as is allowed submits nothing more until some of it has expired', async (t) => {
  const env = { MAX_BYTES_PER_USER: '65536', FINAL_TTL_MS: '1000', SOLVERS_FILE: solversFile(t, { name: 'talk' }) }
  const h = await startHarness(t, { processor: null, env })
  const submit = (sub: string) => h.call('POST', '/api/v2/runs', { sub, body: { solver: 'talk', input: { text: 'x'.repeat(40_000) } } })
  const ids = [(await submit('alice')).body.run_id, (await submit('alice')).body.run_id]
  const refused = await submit('alice')
  t.match(refused, { status: 429, body: { error: 'quota', message: /take \d{5} bytes, which reaches MAX_BYTES_PER_USER \(65536\)/ } })
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  t.equal((await submit('bob')).status, 202)
  for (const id of ids) await h.call('POST', `/api/v2/runs/${id}/cancel`)
  t.match(await h.call('POST', `/api/v2/runs/${ids[0]}/retry`), { status: 429 }, 'a retry is no way around it')
  await eventually(async () => (await submit('alice')).status === 202)
  t.same(h.faults, [])
})

t.test('[CLAIM-11] [QUOTA-4] a job that its owner computes stops growing at the limit, and can end', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_BYTES_PER_USER: '65536' } })
  const own = () => h.call('POST', '/api/jobs', { body: { kind: 'run', input: HORN, claim: true } })
  const { id, round, token } = (await own()).body
  let n = 0
  const post = (...events: object[]) => h.call('POST', `/api/v2/jobs/${id}/events`, { body: { round, token, n: ++n, events } })
  const line = { type: 'log', line: 'x'.repeat(9000) }
  const refused = await eventually(async () => {
    const answer = await post(line)
    return answer.status === 429 && answer.body.error === 'quota' && answer
  })
  t.match(refused.body, { message: /MAX_BYTES_PER_USER \(65536\)/ })
  t.ok(n < 200, `${n} posts`)
  t.equal((await own()).status, 429)
  t.equal((await post()).status, 200, 'its lease goes on')
  t.match(await post({ type: 'completed', metrics_summary: {} }), { status: 200, body: { status: 'completed' } })
  t.same(h.faults, [])
})

/** Each way in which a job that runs may end. */
const ENDS: Record<string, (place: Place, id: string, play: Play, sub: string) => unknown> = {
  completed: (_place, _id, play) => play.complete(),
  failed: (_place, _id, play) => play.fail(new JobFailure('solver_error', 'diverged')),
  'cancelled while it runs': ({ h }, id, _play, sub) => h.call('POST', `/api/v2/runs/${id}/cancel`, { node: 1, sub }),
  'forced: its worker does not hear of the cancel, and holds it still': ({ h }, id) =>
    h.nodes[0]?.hub.parts.broker.publish(id, [runEvents.status(id, 'cancelling')], controlWriter(1)),
  'worker_lost: removed from the queue by hand': async ({ h, admin }, id) => {
    const queue = `${new RedisKeys(h.config.REDIS_PREFIX).queues()}:run`
    await admin.multi().lrem(`${queue}:active`, 0, `${id}~1`).unlink(`${queue}:${id}~1`, `${queue}:${id}~1:lock`).exec()
  },
  'expired: its record is gone': async ({ h, admin }, id) => {
    const keys = new RedisKeys(h.config.REDIS_PREFIX)
    await admin.unlink(keys.job(id), keys.log(id))
  },
}
const STATUS: Record<string, string | undefined> = { completed: 'completed', failed: 'failed', worker_lost: 'failed', expired: undefined }

t.test('[QUOTA-1] a place is free after each kind of end', async (t) => {
  const place = await open(t, { MAX_ACTIVE_JOBS_PER_USER: '1', WORKER_CONCURRENCY: '8', CANCEL_GRACE_MS: '100' })
  const { h, stage, at } = place
  for (const [name, end] of Object.entries(ENDS)) {
    const kind = name.replace(/\W.*/, '')
    const sub = `user of ${kind}`
    const id = await h.submit({ sub })
    const play = await stage.play(id)
    const next = await h.submit({ sub })
    t.equal(await at(next), 'held', name)
    await end(place, id, play, sub)
    const following = await stage.play(next)
    const status = (await h.nodes[0]?.hub.parts.broker.read(id))?.state.status
    t.equal(status, kind in STATUS ? STATUS[kind] : 'cancelled', name)
    following.complete()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${next}`, { sub })).body.status === 'completed')
  }
})

t.test('[QUOTA-1] a place is free after a cancel of what is handed out and has no worker yet', async (t) => {
  const { h, stage, at } = await open(t, { MAX_ACTIVE_JOBS_PER_USER: '1', WORKER_CONCURRENCY: '1', SWEEP_INTERVAL_MS: '600000' })
  const bob = await stage.play(await h.submit({ sub: 'bob' }))
  const handed = await h.submit()
  const held = await h.submit()
  t.same([await at(handed), await at(held)], ['waiting', 'held'])
  await h.call('POST', `/api/v2/runs/${handed}/cancel`)
  t.same([await at(handed), await at(held)], ['missing', 'waiting'])
  bob.complete()
  const play = await stage.play(held)
  play.complete()
  t.equal(stage.playsOf(handed).length, 0)
  t.same(h.faults, [])
})

t.test('[QUOTA-2] jobs per hour: 429 with Retry-After over any node, not for the same job again, and not for another user', async (t) => {
  const { h, stage } = await open(t, { MAX_JOBS_PER_HOUR: '2' })
  const first = await h.submit({ id: 'first' })
  await h.call('POST', '/api/v2/runs', { body: { input: HORN }, headers: { 'idempotency-key': 'k' }, node: 1 })
  const refused = await h.call('POST', '/api/v2/runs', { body: { run_id: 'third', input: HORN }, node: 1 })
  t.match(refused, { status: 429, body: { error: 'quota', message: /per hour/ } })
  const seconds = Number(refused.headers.get('retry-after'))
  t.ok(Number.isInteger(seconds) && seconds > 3500 && seconds <= 3600, String(seconds))
  t.match(await h.call('GET', '/api/v2/runs/third'), { status: 404 }, 'nothing of it was written')
  for (const node of [0, 1]) {
    t.match(await h.call('POST', '/api/v2/runs', { body: { run_id: first, input: HORN }, node }), { status: 202 })
    t.match(
      await h.call('POST', '/api/v2/runs', { body: { input: HORN }, headers: { 'idempotency-key': 'k' }, node }),
      { status: 202 },
      'the same key again',
    )
  }
  t.match(await h.call('POST', '/api/v2/runs', { body: { run_id: first, input: { ...HORN, width_mm: 30 } } }), { status: 409 })
  t.match(await h.call('POST', '/api/v2/runs', { body: { input: {} } }), { status: 422 }, 'what is not valid is told first')
  await h.submit({ sub: 'bob' })
  const play = await stage.play(first)
  play.fail(new JobFailure('solver_error', 'diverged'))
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${first}`)).body.status === 'failed')
  const retried = await h.call('POST', `/api/v2/runs/${first}/retry`)
  t.match(retried, { status: 429, body: { error: 'quota' } }, 'a retry is one more')
  t.match((await h.call('GET', `/api/v2/runs/${first}`)).body, { status: 'failed' })
  t.same(h.faults, [])
})

t.test('[QUOTA-2] many at once: exactly so many are taken', async (t) => {
  const { h } = await open(t, { MAX_JOBS_PER_HOUR: '7' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => h.call('POST', '/api/v2/runs', { body: { input: HORN }, node: i % 2 })),
  )
  t.equal(answers.filter(({ status }) => status === 202).length, 7)
  t.equal(answers.filter(({ status }) => status === 429).length, 13)
})

t.test('[QUOTA-2] [QUOTA-3] a program is refused with code and time, too', async (t) => {
  const { h } = await open(t, {})
  const jobs = (settings: Readonly<Record<string, number>>) => {
    const jobs = createJobs({ redisUrl: h.redis.url, redisPrefix: h.redis.prefix, owner: 'carol', settings })
    t.teardown(() => jobs.close())
    return jobs
  }
  const hourly = jobs({ MAX_JOBS_PER_HOUR: 1 })
  await hourly.submit('run', HORN as never, { id: 'p1' })
  await hourly.submit('run', HORN as never, { id: 'p1' })
  await t.rejects(hourly.submit('run', HORN as never), { code: 'quota', retryAfterMs: Number })
  await t.rejects(jobs({ MAX_WAITING_JOBS_PER_USER: 0 }).submit('run', HORN as never), { code: 'quota', retryAfterMs: 10_000 })
  await t.rejects(jobs({ MAX_WAITING_JOBS: 0 }).submit('run', HORN as never), { code: 'overloaded', retryAfterMs: 10_000 })
})

t.test('[QUOTA-3] so many jobs of one user may wait, and so many of all', async (t) => {
  const { h, stage, admin } = await open(t, { MAX_ACTIVE_JOBS_PER_USER: '1', MAX_WAITING_JOBS_PER_USER: '1', MAX_WAITING_JOBS: '2' })
  const play = await stage.play(await h.submit())
  const waits = await h.submit()
  const refused = await h.call('POST', '/api/v2/runs', { body: { input: HORN }, node: 1 })
  t.match(refused, { status: 429, body: { error: 'quota', message: /wait/ } })
  t.equal(refused.headers.get('retry-after'), '10')
  // As if more than an hour had passed.
  await admin.unlink(new RedisKeys(h.config.REDIS_PREFIX).scheduler().hour('alice'))
  const again = await h.call('POST', '/api/v2/runs', { body: { run_id: waits, input: HORN } })
  t.match(again, { status: 202 }, 'what is there already is not refused')
  await stage.play(await h.submit({ sub: 'bob' }))
  await h.submit({ sub: 'bob' })
  const full = await h.call('POST', '/api/v2/runs', { body: { input: HORN }, sub: 'carol' })
  t.match(full, { status: 503, body: { error: 'overloaded' } })
  t.equal(full.headers.get('retry-after'), '10')
  play.complete()
  await stage.play(waits)
  await h.submit({ sub: 'carol' })
  t.same(h.faults, [])
})
