import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { ProcessEntry } from '../../src/storage/processes.js'
import { connectCommands } from '../../src/storage/redis/connection.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { RedisProcesses } from '../../src/storage/redis/processes.js'
import { Claimant, workerToken } from '../support/claimant.js'
import { runcastInProcess } from '../support/command.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { SseClient } from '../support/sse-client.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'

type Row = Readonly<Record<string, unknown>>

const adminOf = (h: Harness) => h.token('root', { claims: { role: 'admin' } })
const look = async (h: Harness, path: string, node = 0) => {
  const { status, body } = await h.call('GET', `/api/admin/${path}`, { token: adminOf(h), node })
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
  return body
}

/** The socket of a user that follows all jobs. */
async function follow(h: Harness, sub: string, node = 0): Promise<TestClient> {
  const client = new TestClient(`${h.nodes[node]?.ws}/ws?token=${h.token(sub)}`)
  h.onTeardown(() => client.terminate())
  await client.next('process_list')
  return client
}

t.test('[ADM-1] the routes of operators are for the role admin', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const routes = [
    ['GET', '/api/admin/jobs', 200],
    ['GET', '/api/admin/jobs?cursor=18446744073709551615', 200],
    ['GET', '/api/admin/jobs?user=alice', 200],
    ['GET', '/api/admin/queues', 200],
    ['GET', '/api/admin/workers', 200],
    ['GET', '/api/admin/sessions', 200],
    ['DELETE', '/api/admin/sessions?user=nobody', 200],
    ['DELETE', `/api/admin/sessions/${randomUUID()}`, 404],
  ] as const
  for (const [method, path, status] of routes) {
    t.match(await h.call(method, path, { token: null }), { status: 401 }, `${path}: nobody`)
    t.match(await h.call(method, path), { status: 403, body: { error: 'forbidden' } }, `${path}: the owner`)
    t.match(await h.call(method, path, { sub: 'bob' }), { status: 403 }, `${path}: another user`)
    t.match(await h.call(method, path, { token: workerToken() }), { status: 403 }, `${path}: a worker`)
    t.match(await h.call(method, path, { token: adminOf(h) }), { status }, `${path}: an admin`)
  }
  for (const [path, at] of [
    ['jobs?cursor=x', '/querystring/cursor'],
    ['jobs?cursor=18446744073709551616', '/querystring/cursor'],
    ['jobs?cursor=1:x', '/querystring/cursor'],
    ['jobs?user=alice&cursor=0', '/querystring/cursor'],
    ['jobs?limit=1001', '/querystring/limit'],
    ['jobs?owner=alice', '/querystring/owner'],
    ['sessions?limit=0', '/querystring/limit'],
  ] as const) {
    const answer = await h.call('GET', `/api/admin/${path}`, { token: adminOf(h) })
    t.match(answer, { status: 422, body: { detail: [{ path: at }] } }, path)
  }
  t.equal((await h.call('DELETE', '/api/admin/sessions', { token: adminOf(h) })).status, 422, 'of whom')
  t.match((await look(h, 'jobs')).jobs, [{ id, user: 'alice' }])
  t.same(h.faults, [])
})

t.test('[ADM-2] [ADM-3] sessions of all hubs are listed and ended', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  const id = await h.submit()
  const alice = await follow(h, 'alice')
  const watcher = await h.connect(id, { node: 1 })
  await watcher.next('status')
  const bob = await follow(h, 'bob', 1)
  const stream = new SseClient(`${h.nodes[1]?.http}/api/v2/runs/${id}/events`, {
    headers: { accept: 'text/event-stream', authorization: `Bearer ${h.token()}` },
  })
  h.onTeardown(() => stream.terminate())
  await stream.next('status')

  for (const node of [0, 1]) {
    const { sessions, total, hubs, silent } = await look(h, 'sessions', node)
    t.equal(total, 4)
    t.same(silent, [])
    t.same(hubs.map(({ sessions }: Row) => sessions).toSorted(), [1, 3])
    t.match(hubs[0], { pid: process.pid, version: /^\d+\.\d+/ })
    const rows = new Map(sessions.map((row: Row) => [`${row.user} ${row.via} ${(row.follows as Row).scope}`, row]))
    t.match(rows.get('alice websocket user'), { role: 'user', ip: '127.0.0.1', follows: { count: 1, jobs: [id] }, backlog_bytes: 0 })
    t.match(rows.get('alice websocket job'), { follows: { count: 1, jobs: [id] } })
    t.match(rows.get('bob websocket user'), { follows: { count: 0, jobs: [] } })
    t.ok(rows.has('alice sse job'))
  }
  const some = await look(h, 'sessions?user=alice&limit=1')
  t.match([some.total, some.sessions.length, some.sessions[0].user], [3, 1, 'alice'])

  const remove = (path: string) => h.call('DELETE', `/api/admin/sessions${path}`, { token: adminOf(h) })
  const [one] = (await look(h, 'sessions?user=bob')).sessions
  t.match(await remove(`/${one.id}`), { status: 200, body: { disconnected: 1, silent: [] } })
  t.same(await bob.closed, { code: 4003, reason: 'An admin has ended this session.' })
  t.match(await remove(`/${one.id}`), { status: 404, body: { error: 'not_found', message: 'There is no such session.' } })
  t.match(await remove('?user=alice&reconnect=true'), { status: 200, body: { disconnected: 3, silent: [] } })
  for (const { closed } of [alice, watcher, stream]) t.match(await closed, { code: 1012 }, 'a client connects again after this code')
  await eventually(async () => (await look(h, 'sessions')).total === 0)
  t.same(h.faults, [])
})

t.test('[ADM-2] a hub that does not answer is named within a second', async (t) => {
  const h = await startHarness(t, { processor: null })
  await follow(h, 'alice')
  const commands = connectCommands({ url: h.redis.url })
  const ghosts = new RedisProcesses({ commands, keys: new RedisKeys(h.redis.prefix), onFault: (error) => t.fail(String(error)) })
  t.teardown(() => commands.disconnect())
  const ghost: ProcessEntry = {
    ...{ id: 'ghost', role: 'hub', host: 'h', pid: 1, version: '0', started_at: new Date().toISOString() },
    ...{ kinds: [], queues: [], jobs: [] },
  }
  ghosts.announce(() => ghost)
  await eventually(async () => (await ghosts.list()).total === 2)
  const begun = performance.now()
  const { total, silent, hubs } = await look(h, 'sessions')
  t.ok(performance.now() - begun < 3000)
  t.match([total, silent], [1, ['ghost']])
  t.match(
    hubs.find(({ id }: Row) => id === 'ghost'),
    { sessions: null },
  )
  const end = (path: string) => h.call('DELETE', `/api/admin/sessions${path}`, { token: adminOf(h) })
  t.match(await end('/x'), { status: 503, body: { error: 'overloaded', message: /ghost/ } }, 'the ghost may have it')
  t.match(await end('?user=alice'), { status: 200, body: { disconnected: 1, silent: ['ghost'] } })
  await ghosts.close()
  t.same((await look(h, 'sessions')).silent, [])
})

t.test('[ADM-4] jobs, queues and workers of all users', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { MAX_ACTIVE_JOBS_PER_USER: '2', WORKER_CONCURRENCY: '1' } })
  const mine = [await h.submit(), await h.submit(), await h.submit()]
  const bobs = await h.submit({ sub: 'bob' })
  const [first = ''] = mine
  const play = await stage.play(first)

  const [worker, ...others] = await eventually(async () => {
    const { workers } = await look(h, 'workers')
    return workers[0]?.jobs.length === 1 && workers
  })
  t.same(others, [])
  t.match(worker, { pid: process.pid, kinds: ['run'], queues: [{ queue: 'run', slots: 1, running: 1 }], jobs: [first] })

  const { jobs, cursor } = await look(h, 'jobs')
  t.equal(cursor, null)
  t.same(jobs.map(({ id }: Row) => id).toSorted(), [...mine, bobs].toSorted())
  const running = jobs.find(({ id }: Row) => id === first)
  t.match(running, { kind: 'run', user: 'alice', status: 'running', execution: 1, attempt: 1, parent: null, worker: worker.id })
  t.match(
    jobs.find(({ id }: Row) => id === bobs),
    { user: 'bob', status: 'queued', started_at: null, worker: null },
  )
  const page = await look(h, 'jobs?user=alice&limit=2')
  t.same(
    page.jobs.map(({ id }: Row) => id),
    mine.toReversed().slice(0, 2),
    'of one user the newest first',
  )
  const next = await look(h, `jobs?user=alice&cursor=${encodeURIComponent(page.cursor)}`)
  t.match([next.jobs.length, next.jobs[0].id, next.cursor], [1, first, null])

  const { queues, users } = await look(h, 'queues')
  const run = queues.find(({ queue }: Row) => queue === 'run')
  t.match(run, { running: 1, admitted: 2, delayed: 0, workers: 1 })
  t.equal(run.waiting + run.held, 2)
  t.same(
    users.map(({ waiting }: Row) => waiting),
    [1, 1],
  )
  t.same(users.map(({ user }: Row) => user).toSorted(), ['alice', 'bob'])
  play.complete()
  await eventually(async () => !(await look(h, 'jobs')).jobs.some(({ id }: Row) => id === first))
  t.same(h.faults, [])
})

t.test('[ADM-4] many jobs are listed page by page; held claims are listed', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_WAITING_JOBS_PER_USER: '1000' } })
  const ids: string[] = []
  for (let i = 0; i < 150; i += 15) {
    const answers = await Promise.all(Array.from({ length: 15 }, () => h.submit({ input: HORN })))
    ids.push(...answers)
  }
  const seen = new Set<string>()
  let pages = 0
  let cursor: string | null = '0'
  while (cursor !== null) {
    const page: { jobs: { id: string }[]; cursor: string | null } = await look(h, `jobs?limit=20&cursor=${cursor}`)
    for (const { id } of page.jobs) seen.add(id)
    t.ok(page.jobs.length <= 60, 'about as many as asked for')
    pages += 1
    cursor = page.cursor
  }
  t.same([...seen].toSorted(), ids.toSorted())
  t.ok(pages >= 3)

  const claimant = new Claimant(h, 'python-1')
  await claimant.claim()
  const { workers, claims } = await look(h, 'workers')
  t.same(workers, [])
  t.match(claims, [{ queue: 'run', job: claimant.job.id, by: 'python-1', expires_in_s: Number }])
  t.ok(claims[0].expires_in_s > 0 && claims[0].expires_in_s <= h.config.WORKER_LOCK_MS / 1000)
  await claimant.post([{ type: 'result', result: {} }])
  t.same(h.faults, [])
})

t.test('[ADM-5] the entry of a process that dies is gone with its lease', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  await eventually(async () => (await look(h, 'sessions')).hubs.length === 2)
  await h.nodes[1]?.hub.close()
  t.equal((await look(h, 'sessions')).hubs.length, 1, 'one that closes is gone at once')

  const commands = connectCommands({ url: h.redis.url })
  const dying = new RedisProcesses({
    commands,
    keys: new RedisKeys(h.redis.prefix),
    onFault: (error) => t.fail(String(error)),
    leaseMs: 300,
    renewMs: 50,
  })
  const entry = { id: 'w', role: 'worker', host: 'h', pid: 1, version: '0', started_at: '', kinds: [], queues: [], jobs: [] } as const
  dying.announce(() => entry)
  await eventually(async () => (await look(h, 'workers')).workers.length === 1)
  commands.disconnect()
  await eventually(async () => (await look(h, 'workers')).workers.length === 0, { timeoutMs: 3000 })
  await dying.close()
})

t.test('runcast admin prints tables or JSON, and ends sessions', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit({ id: 'job-1' })
  const alice = await follow(h, 'alice')
  const env = { RUNCAST_URL: h.nodes[0]?.http, RUNCAST_TOKEN: adminOf(h) }
  const run = async (...args: string[]) => (await runcastInProcess(t, ['admin', ...args], env)).stdout
  const [jobs, queues, sessions] = [await run('jobs', '--user', 'alice'), await run('queues', '--json'), await run('sessions')]
  t.match(jobs, /^job +kind +user +status .*\njob-1 +run +alice +queued +1 /)
  t.match(
    JSON.parse(queues).queues.find(({ queue }: Row) => queue === 'run'),
    { admitted: 1, workers: 0 },
  )
  t.match(sessions, /alice +websocket +127\.0\.0\.1 .* 1 jobs +0 .*\n1 in all\n$/)
  t.match(await runcastInProcess(t, ['admin', 'disconnect'], env), { code: 2, stderr: /--session or --user/ })
  t.equal(await run('disconnect', '--user', 'alice'), '1 disconnected\n')
  t.match(await alice.closed, { code: 4003 })
  t.match(await look(h, `jobs?user=alice`), { jobs: [{ id }] })
})
