import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createHub } from '../../src/app/create-hub.js'
import { startRedisProxy } from '../contract/redis-proxy.js'
import { codeOf } from '../support/documents.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { startTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'

const SUBMIT = { body: { input: HORN } }

function adminOf(t: Test, url: string): Redis {
  const admin = new Redis(url)
  t.teardown(() => admin.disconnect())
  return admin
}

async function readyz(h: Harness): Promise<{ status: number; body: Record<string, unknown> }> {
  const { status, body } = await h.call('GET', '/readyz', { token: null })
  return { status, body }
}

/** What a write is answered while Redis refuses. */
async function refusesWrites(t: Test, h: Harness, reason: string): Promise<void> {
  const { status, headers, body } = await h.call('POST', '/api/v2/runs', SUBMIT)
  t.match({ status, body }, { status: 503, body: { error: 'overloaded', reason } })
  t.match(headers.get('retry-after'), /^[1-9]/)
}

async function isBack(h: Harness): Promise<void> {
  await eventually(async () => (await readyz(h)).body.writable === true && (await readyz(h)).status === 200)
  await h.submit()
}

function changes(h: Harness): string[] {
  return h.logged.flatMap((line) => ('reason' in line && 'text' in line ? [`${line.text}`.replace(/; try again later\.$/, '')] : []))
}

t.test('[OPS-1] [CODE-3] a Redis without memory: reads go on, writes are overloaded with their reason', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const admin = adminOf(t, h.redis.url)
  const id = await h.submit()
  await admin.config('SET', 'maxmemory', '1')
  const full = { status: 200, body: { status: 'ready', writable: false, reason: 'store_full' } }
  await eventually(async () => (await readyz(h)).body.writable === false)
  t.match(await readyz(h), full, 'another node would do no better')
  for (let i = 0; i < 3; i += 1) await refusesWrites(t, h, 'store_full')
  t.match(await h.call('POST', `/api/v2/runs/${id}/cancel`), { status: 503, body: { reason: 'store_full' } })
  t.match(await h.call('POST', '/api/revocations', { body: { jti: 'x' } }), { status: 403 })
  t.match(await h.call('GET', `/api/v2/runs/${id}`), { status: 200, body: { status: 'queued' } })
  await admin.config('SET', 'maxmemory', '0')
  await isBack(h)
  t.same(changes(h), ['Redis is out of memory and rejects writes (OOM)', 'Redis accepts writes again'], 'one line for each change')
  t.same(h.faults, [])
})

t.test('[OPS-1] a Redis with a new password: /readyz and a start name it', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const admin = adminOf(t, h.redis.url)
  await eventually(async () => (await readyz(h)).status === 200)
  await admin.config('SET', 'requirepass', 'new')
  await admin.call('CLIENT', 'KILL', 'SKIPME', 'yes')
  const denied = { status: 503, body: { checks: { redis: false }, writable: false, reason: 'store_denies' } }
  await eventually(async () => (await readyz(h)).body.reason === 'store_denies')
  t.match(await readyz(h), denied)
  const hub = createHub({ redis: { url: h.redis.url }, auth: { jwtSecret: 'x'.repeat(32) }, logLevel: 'silent' })
  await t.rejects(hub.listen({ port: 0 }), { code: 'overloaded', message: /rejects the user or the password \(REDIS_URL\): NOAUTH/ })
  await hub.close()
  await admin.config('SET', 'requirepass', '')
  await isBack(h)
})

t.test('[OPS-1] with READY_NEEDS_WRITE=yes a Redis without memory makes nobody ready', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null, env: { READY_NEEDS_WRITE: 'yes' } })
  const admin = adminOf(t, h.redis.url)
  await eventually(async () => (await readyz(h)).status === 200)
  await admin.config('SET', 'maxmemory', '1')
  await eventually(async () => (await readyz(h)).status === 503)
  t.match((await readyz(h)).body, { status: 'not ready', checks: { redis: false }, writable: false, reason: 'store_full' })
  await admin.config('SET', 'maxmemory', '0')
  await isBack(h)
})

t.test('[OPS-1] [CODE-3] a Redis that cannot save: hub and worker are ready, a new socket is told to come again', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: new Stage().processor })
  const admin = adminOf(t, h.redis.url)
  const id = await h.submit()
  const snapshot = join(h.redis.server.dataDir, 'dump.rdb', 'in-the-way')
  await mkdir(snapshot, { recursive: true })
  await admin.config('SET', 'save', '3600 1000000')
  await eventually(async () => {
    await admin.bgsave().catch(() => {})
    return /rdb_last_bgsave_status:err/.test(await admin.info('persistence'))
  })
  await eventually(async () => (await readyz(h)).body.writable === false)
  t.match(await readyz(h), { status: 200, body: { status: 'ready', writable: false, reason: 'store_not_saving' } })
  t.equal(await h.worker?.readiness.redis?.(), true)
  t.same(await h.worker?.store(), { writable: false, reason: 'store_not_saving' })
  await refusesWrites(t, h, 'store_not_saving')
  const client = await h.connect(id)
  t.match(await client.closed, { code: 1013 })
  await rm(join(h.redis.server.dataDir, 'dump.rdb'), { recursive: true })
  await admin.config('SET', 'save', '')
  await isBack(h)
  t.same(h.faults, [])
})

t.test('[OPS-1] [CODE-3] a Redis that was demoted in place: not ready, and back by itself', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: new Stage().processor })
  const admin = adminOf(t, h.redis.url)
  const id = await h.submit()
  await eventually(async () => (await readyz(h)).status === 200)
  await admin.replicaof('127.0.0.1', '1')
  await eventually(async () => (await readyz(h)).status === 503)
  t.match((await readyz(h)).body, { status: 'not ready', checks: { redis: false }, writable: false, reason: 'store_read_only' })
  await refusesWrites(t, h, 'store_read_only')
  const client = await h.connect(id)
  t.match(await client.closed, { code: 1013 })
  t.equal(await h.worker?.readiness.redis?.(), false)
  await admin.replicaof('NO', 'ONE')
  await isBack(h)
  t.same(h.faults, [])
})

t.test('a failover with open connections: every process moves to the new master', async (t) => {
  const old = await startTestRedis(t)
  const next = await startTestRedis(t)
  const proxy = await startRedisProxy(t, old.url)
  const stage = new Stage()
  const h = await startHarness(t, { redis: { url: proxy.url, prefix: 'runcast' }, processor: stage.processor })
  const [admin, promoted] = [adminOf(t, old.url), adminOf(t, next.url)]
  const id = await h.submit()
  const { job, complete } = await stage.play(id)
  const client = await h.connect(id)
  await eventually(async () => (await readyz(h)).status === 200)
  await promoted.replicaof('127.0.0.1', String(old.server.port))
  await eventually(async () => /master_link_status:up/.test(await promoted.info('replication')))
  proxy.turnTo(next.url)
  await promoted.replicaof('NO', 'ONE')
  // Not its replica: what is published on the new one does not come here.
  await admin.replicaof('127.0.0.1', '1')

  const clients = async () =>
    String(await admin.client('LIST'))
      .trim()
      .split('\n')
  await eventually(async () => (await clients()).length === 1)
  t.pass('nobody but this test is connected to the old one any more')
  await isBack(h)
  job.metric('frequency', 1, 'Hz')
  await client.next('metric_update')
  complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.attempt, 1)
  t.same(h.faults, [])
})

t.test('[OPS-1] a Redis that does not let a node write: not ready, with the right that is missing in the log', async (t) => {
  const redis = await startTestRedis(t)
  const admin = adminOf(t, redis.url)
  await admin.call('ACL', 'SETUSER', 'runcast', 'on', '>secret', '~*', '&*', '+@all', '-set')
  const h = await startHarness(t, {
    redis: { url: redis.url.replace('//', '//runcast:secret@'), prefix: 'runcast' },
    processor: null,
  })
  await eventually(async () => (await readyz(h)).body.reason === 'store_denies')
  t.match(await readyz(h), { status: 503, body: { checks: { redis: false }, writable: false } })
  t.match(h.logged, [{ reason: 'store_denies', err: { message: /script/ } }])
  await admin.call('ACL', 'SETUSER', 'runcast', '+set')
  await eventually(async () => (await readyz(h)).status === 200)
})

t.test('the rights that the docs name are enough for a job from submit to end', async (t) => {
  const redis = await startTestRedis(t)
  const line = codeOf('docs/operate/many-machines.md', 'ACL SETUSER').trimEnd()
  const [, name = '', ...rights] = line
    .split(' ')
    .slice(2)
    .map((part) => part.replaceAll("'", ''))
  await adminOf(t, redis.url).call('ACL', 'SETUSER', name, ...rights)
  const url = redis.url.replace('//', `//${name}:a-long-password@`)
  const stage = new Stage()
  const env = { SWEEP_INTERVAL_MS: '100', READY_NEEDS_WORKER: 'yes' }
  const h = await startHarness(t, { redis: { url, prefix: 'runcast' }, processor: stage.processor, env })
  const [done, cancelled] = [await h.submit(), await h.submit()]
  const client = await h.connect(done)
  const play = await stage.play(done)
  play.job.metric('frequency', 1, 'Hz')
  play.complete()
  await client.next('completed')
  t.equal((await h.call('POST', `/api/v2/runs/${cancelled}/cancel`)).status, 202)
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${cancelled}`)).body.status === 'cancelled')
  t.match(await readyz(h), { body: { writable: true } })
  t.same([h.faults, changes(h)], [[], []])
})

t.test('[QUOTA-4] a Redis that denies MEMORY costs no request: jobs go on uncounted, and one line says so', async (t) => {
  const redis = await startTestRedis(t)
  const admin = adminOf(t, redis.url)
  await admin.call('ACL', 'SETUSER', 'runcast', 'on', '>secret', '~*', '&*', '+@all', '-memory')
  const h = await startHarness(t, {
    redis: { url: redis.url.replace('//', '//runcast:secret@'), prefix: 'runcast' },
    processor: null,
    env: { MAX_BYTES_PER_USER: '65536' },
  })
  const submit = () => h.call('POST', '/api/v2/runs', SUBMIT)
  t.same([(await submit()).status, (await submit()).status], [202, 202])
  t.match(await readyz(h), { status: 200, body: { writable: true } })
  t.match(changes(h), [/^Redis denies this server/])
  t.same(h.faults, [])
})

t.test('[STATE-9] a Redis that refuses writes for longer than a lock lives costs no attempt and no result', async (t) => {
  const stage = new Stage()
  const env = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200', WORKER_CONCURRENCY: '3' }
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: stage.processor, env })
  const admin = adminOf(t, h.redis.url)
  const ids = [await h.submit(), await h.submit(), await h.submit()] as const
  const plays = await Promise.all(ids.map((id) => stage.play(id)))
  const locks = async () => (await admin.keys('*:lock')).length
  await eventually(async () => (await locks()) === 3)
  await admin.config('SET', 'maxmemory', '1')
  await eventually(async () => (await locks()) === 0)
  const [first, second, third] = plays
  first?.complete({ f: 1 })
  second?.job.metric('frequency', 2, 'Hz')
  second?.complete({ f: 2 })
  await eventually(async () => (await readyz(h)).body.reason === 'store_full')
  await admin.config('SET', 'maxmemory', '0')
  const state = async (id: string) => (await h.call('GET', `/api/v2/runs/${id}`)).body
  for (const id of ids.slice(0, 2)) await eventually(async () => (await state(id)).status === 'completed')
  await eventually(async () => (await locks()) === 1)
  third?.job.metric('frequency', 3, 'Hz')
  third?.complete({ f: 3 })
  await eventually(async () => (await state(ids[2])).status === 'completed')
  for (const id of ids) t.match(await state(id), { status: 'completed', attempt: 1 })
  t.equal(stage.plays.length, 3, 'each was computed once')
  t.same(h.faults, [])
})
