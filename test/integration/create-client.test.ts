import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { type Client, createClient, type JobEvent, type RuncastError } from '../../src/index.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, SECRET, startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { measure, TWO_OBJECTIVES } from '../support/optimizations.js'
import { PLAYED_RESULT, PlayedBenchmark } from '../support/played-benchmark.js'
import { testPort } from '../support/ports.js'
import { Stage } from '../support/stage.js'
import type { Message } from '../support/test-client.js'
import { assertComplete, assertShapes, entriesOf } from '../support/wire.js'

const INPUT = { ...HORN, material: 'ti-6al-4v', profile: 'uniform' } as const

type Over = 'Redis' | 'HTTP'
/** Every scenario holds for both. */
const OVER: readonly Over[] = ['Redis', 'HTTP']

function clientOf(t: Test, h: Harness, over: Over, owner = 'alice', settings: object = {}): Client {
  const [node] = h.nodes
  const client =
    over === 'Redis'
      ? createClient({ redis: { url: h.redis.url, prefix: h.redis.prefix }, owner, ...settings })
      : createClient({ url: node?.http ?? '', token: () => h.token(owner) })
  t.teardown(() => client.close())
  return client
}

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const told: T[] = []
  for await (const event of events) told.push(event)
  return told
}

/** A server on a port of its own. */
async function serve(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Follows in the background. */
function follow<T>(events: AsyncIterable<T>): { readonly told: T[]; readonly ended: Promise<void> } {
  const told: T[] = []
  const ended = (async () => {
    for await (const event of events) told.push(event)
  })()
  ended.catch(() => {})
  return { told, ended }
}

const types = (events: readonly JobEvent[]) => events.map(({ type }) => type)

t.test('[REST-4] [REST-6] submit, events, result: over Redis and over HTTP the same events in the same order', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const [redis, http] = OVER.map((over) => clientOf(t, h, over)) as [Client, Client]
  const job = await redis.submit('run', INPUT, { timeoutMs: 60_000 })
  t.equal((await http.submit('run', INPUT, { id: job.id, timeoutMs: 60_000 })).id, job.id, 'again is no other job')
  const following = [job.events(), http.job(job.id).events()].map(follow)
  const results = [job.result(), http.job(job.id).result()]
  await eventually(() => following.every(({ told }) => told.some((event) => event.type === 'status' && event.status === 'running')))
  const play = await stage.play(job.id)
  for (let i = 1; i <= 50; i += 1) play.job.metric(`m${i}`, i, 'Hz')
  play.job.progress({ percent: 50, phase: 'solving', message: 'half' })
  await play.job.flush()
  t.match(await http.job(job.id).status(), { status: 'running', progress: { current: 50, phase: 'solving' }, result: null, failure: null })
  play.complete({ a: 1 })
  t.same(await Promise.all(results), [{ metrics_summary: { a: 1 } }, { metrics_summary: { a: 1 } }])
  for (const { told, ended } of following) {
    await ended
    assertShapes(t, told as Message[])
    assertComplete(t, told as Message[])
    t.equal(told.at(-1)?.type, 'completed')
  }
  const [mine = [], theirs = []] = following.map(({ told }) => entriesOf(told as Message[]))
  const since = Math.max(mine[0]?.seq, theirs[0]?.seq)
  t.same(
    mine.filter(({ seq }) => seq >= since),
    theirs.filter(({ seq }) => seq >= since),
  )
  const told = await Promise.all([redis, http].map((client) => client.job(job.id).status()))
  t.match(told[0], { id: job.id, kind: 'run', owner: 'alice', solver: null, status: 'completed', createdAt: String, finishedAt: String })
  t.same(told[0], told[1], 'and the same state')
  const ended = await Promise.all([redis, http].map((client) => all(client.job(job.id))))
  t.same(
    ended[0],
    ended[1]?.map((event, i) => (i === 0 ? { ...event, timestamp: ended[0]?.[0]?.timestamp } : event)),
  )
  t.equal(ended[0]?.at(-1)?.type, 'completed', 'a job that has ended is told at once, to its end')
  t.same(h.faults, [])
})

for (const over of OVER) {
  t.test(`[REST-4] ${over}: cancel, retry, list, get; a result that there is not is JobFailed`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const client = clientOf(t, h, over)
    const job = await client.submit('run', INPUT, { id: 'first' })
    const result = job.result()
    const { job: computed } = await stage.play(job.id)
    await t.rejects(job.retry(), {
      ...{ name: 'RuncastError', code: 'not_final', status: 409 },
      requestId: over === 'HTTP' ? String : undefined,
    })
    await t.rejects(job.pause(), { code: 'not_running' })
    t.match(await client.list({ status: 'active', kind: 'run' }), { jobs: [{ id: 'first', status: 'running' }], cursor: null })
    t.equal(await job.cancel(), 'cancelling')
    await t.rejects(result, { name: 'JobFailed', id: 'first', code: 'cancelled', logTail: '' })
    await t.rejects(job.cancel(), { code: 'already_final' })
    t.ok(computed.signal.aborted)

    t.equal(await job.retry(), 'queued')
    const again = job.result()
    const play = await eventually(() => stage.playsOf('first')[1])
    play.job.log('no such mesh')
    const { JobFailure } = await import('../../src/worker/index.js')
    play.fail(new JobFailure('solver_error', 'it does not converge'))
    await t.rejects(again, { name: 'JobFailed', code: 'solver_error', message: 'it does not converge', logTail: 'no such mesh' })
    t.match(await job.status(), { status: 'failed', failure: { code: 'solver_error' }, result: null })

    await client.submit('run', { ...INPUT, width_mm: 26 }, { idempotencyKey: 'k' })
    const { id } = await client.submit('run', { ...INPUT, width_mm: 26 }, { idempotencyKey: 'k' })
    const page = await client.list({ limit: 1 })
    t.same(
      page.jobs.map((each) => each.id),
      [id],
    )
    const rest = await client.list({ limit: 1, cursor: page.cursor ?? '' })
    t.match(rest, { jobs: [{ id: 'first' }], cursor: null })
    t.match(await client.list({ kind: 'benchmark' }), { jobs: [], cursor: null })
    t.match(await client.list({ status: 'final' }), { jobs: [{ id: 'first' }] })
    t.equal((await client.get('first')).id, 'first')
    const bob = clientOf(t, h, over, 'bob')
    await t.rejects(bob.get('first'), { code: 'not_found' }, 'another user does not see it')
    t.same(await bob.list(), { jobs: [], cursor: null })
    await (await client.get(id)).cancel()
    t.same(h.faults, [])
  })

  t.test(`${over}: [POS-4] events go on from a position, through an earlier end, up to the end of the job`, async (t) => {
    const h = await startHarness(t, { processor: null })
    const client = clientOf(t, h, over)
    const played = await PlayedBenchmark.submit(h.nodes[0]?.hub)
    const job = client.job(played.id)
    await played.start()
    await played.step()
    const { position: after } = await job.status()
    await played.step()
    await played.fail()
    await played.retry()
    await played.start()
    const { told, ended } = follow(job.events({ after }))
    await eventually(() => told.at(-1)?.type === 'process_started')
    await played.step()
    await played.complete()
    await ended
    t.match(told[0], { type: 'subscribed', recovered: true })
    t.same(
      types(told.slice(1)).filter((type) => type !== 'process_progress'),
      ['process_result', 'process_failed', 'process_queued', 'process_started', 'process_result', 'process_completed'],
    )
    const { position } = await job.status()
    t.same(types(await all(job.events({ after: position }))), ['subscribed'], 'who had everything gets no more than the state')
    t.same(await job.result(), PLAYED_RESULT)
  })

  t.test(`${over}: events are left by break, by their signal and by close, and nothing is held after that`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const client = clientOf(t, h, over)
    const job = await client.submit('run', INPUT)
    await stage.play(job.id)
    const [node] = h.nodes
    for await (const { type } of job) {
      t.equal(type, 'status')
      break
    }
    const stop = new AbortController()
    const stopped = all(job.events({ signal: stop.signal }))
    const closed = all(job.events())
    const unended = [job.result({ signal: stop.signal }), job.result()]
    const silent = [stopped, closed, ...unended].map((promise) => promise.catch(() => {}))
    if (over === 'HTTP') await eventually(() => node?.hub.server.sessions.size === 3)
    stop.abort(new Error('enough'))
    await t.rejects(stopped, { message: 'enough' })
    await t.rejects(unended[0] as Promise<object>, { message: 'enough' })
    await t.rejects(job.result({ signal: stop.signal }), { message: 'enough' })
    await client.close()
    await t.rejects(closed, { code: 'going_away' })
    await t.rejects(unended[1] as Promise<object>, { code: 'going_away' })
    await Promise.all(silent)
    await client.close()
    await t.rejects(job.status(), { code: 'going_away' })
    await t.rejects(client.submit('run', INPUT), { code: 'going_away' })
    t.throws(() => job.events(), { code: 'going_away' })
    await eventually(() => node?.hub.server.sessions.size === 0)
  })

  t.test(`${over}: what is wrong is a RuncastError with the same code and issues`, async (t) => {
    const h = await startHarness(t, { processor: null, env: { MAX_JOBS_PER_HOUR: '2' } })
    const client = clientOf(t, h, over, 'alice', { limits: { maxJobsPerHour: 2 } })
    const refusal = (code: RuncastError['code'], ...paths: string[]) => ({
      name: 'RuncastError',
      code,
      issues: paths.map((path) => ({ path })),
    })
    const job = await client.submit('run', INPUT, { id: 'mine' })
    await t.rejects(client.submit('run', { ...INPUT, width_mm: 26 }, { id: 'mine' }), refusal('other_input'))
    await t.rejects(client.submit('run', {}), { code: 'invalid', status: 422, issues: [{ path: '/input/material' }] })
    await t.rejects(client.submit('run', { ...INPUT, width_mm: Number.NaN }), refusal('invalid', '/input/width_mm'))
    await t.rejects(client.submit('nope', {}), refusal('invalid', '/kind'))
    if (over === 'HTTP') await t.rejects(client.submit('benchmark', { models: ['acme/x'] }), refusal('invalid', '/input/models/0'))
    await t.rejects(client.submit('run', INPUT, { id: '17' }), refusal('invalid', '/id'))
    await t.rejects(client.submit('run', INPUT, { solver: 'nope' }), refusal('invalid', '/solver'))
    await t.rejects(client.submit('run', INPUT, { timeoutMs: 10 }), refusal('invalid', '/timeoutMs'))
    await t.rejects(client.submit('run', INPUT, { idempotencyKey: '' }), refusal('invalid', '/idempotencyKey'))
    const unknown = { delay: 1, urgency: 1 } as object
    await t.rejects(client.submit('run', INPUT, unknown), refusal('invalid', '/delay', '/urgency'))
    await t.rejects(client.submit('run', INPUT, unknown), {
      message: 'unknown option delay, urgency: expected one of id, timeoutMs, solver, idempotencyKey',
    })
    await t.rejects(client.list({ limit: 0 }), refusal('invalid', '/limit'))
    await t.rejects(client.list({ cursor: 'x' }), refusal('invalid', '/cursor'))
    await t.rejects(client.list({ kind: 'nope' }), { code: 'invalid' })
    t.throws(() => job.events({ from: 0 } as object), refusal('invalid', '/from'))
    for (const id of ['none', 'a/b', '\ud800', '', '.', '..', '%2e', 'a?b']) {
      await t.rejects(client.get(id), refusal('not_found'), id)
      await t.rejects(all(client.job(id).events()), refusal('not_found'), id)
      await t.rejects(client.job(id).result(), refusal('not_found'), id)
      await t.rejects(client.job(id).cancel(), refusal('not_found'), id)
    }
    await client.submit('run', INPUT)
    await t.rejects(client.submit('run', INPUT), { code: 'quota', status: 429, retryAfterMs: Number })
    await job.cancel()
  })

  t.test(`${over}: all jobs of the user, live`, async (t) => {
    const h = await startHarness(t, { processor: null })
    const client = clientOf(t, h, over)
    const watch = await client.watch()
    await watch.until(() => true)
    const played = await PlayedBenchmark.submit(h.nodes[0]?.hub)
    await played.start()
    await played.step()
    await played.complete()
    const view = await watch.until((processes) => processes.get(played.id)?.status === 'completed')
    t.match(view.get(played.id), { results: [{ run: 1 }], final: { type: 'process_completed' } })
    await client.close()
    t.match(watch.state, { status: 'ended' })
  })
}

t.test('[REST-5] a job in steps is paused over HTTP and resumed over Redis; its result has what it found', async (t) => {
  let isOpen = false
  const held: RunProcessor = async (input, job) => {
    await eventually(() => isOpen || job.signal.aborted)
    return { metrics_summary: measure(input) }
  }
  const h = await startHarness(t, { env: { WORKER_KINDS: 'run,optimization' }, processor: held })
  const [redis, http] = OVER.map((over) => clientOf(t, h, over)) as [Client, Client]
  const input = { ...TWO_OBJECTIVES, population: 6, generations: 1 }
  const job = await redis.submit('optimization', input)
  await eventually(async () => (await job.status()).status === 'running')
  t.equal(await http.job(job.id).pause(), 'paused')
  const { told, ended } = follow(http.job(job.id).events())
  await eventually(() => told.length > 0)
  t.match(told[0], { type: 'status', optimization_id: job.id, status: 'paused' })
  t.equal(await job.resume(), 'running')
  isOpen = true
  t.match(await job.result(), { metrics_summary: {}, best: { iteration: Number }, stopped: 'done' })
  await ended
  t.equal(told.filter(({ type }) => type === 'optimization_iteration').length, 6)
})

t.test('[SLOW-1] [SLOW-2] a slow reader costs bounded memory; what is lost to it a snapshot says', async (t) => {
  const [BEFORE, AFTER] = [1100, 20]
  const h = await startHarness(t, { processor: null, env: { MAX_MISSED_ENTRIES: '10', LINGER_MS: '0' } })
  const played = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await played.start()
  const readers = [clientOf(t, h, 'Redis', 'alice', { limits: { maxMissedEntries: 3000 } }), clientOf(t, h, 'HTTP')].map((client) =>
    client.job(played.id).events(),
  )
  for (const events of readers) t.match((await events.next()).value, { type: 'subscribed', recovered: false })
  for (let i = 0; i < BEFORE; i += 1) await played.step()
  await eventually(() => h.nodes[0]?.hub.server.sessions.size === 0) // a thousand are unread
  // More than the hub replays from the log. It has forgotten the job, so it has none of them in memory.
  for (let i = 0; i < AFTER; i += 1) await played.step()
  await played.complete()
  const [whole = [], cut = []] = await Promise.all(readers.map(all))
  t.same(
    whole.filter(({ type }) => type === 'process_result').map((event) => 'result' in event && 'run' in event.result && event.result.run),
    Array.from({ length: BEFORE + AFTER }, (_, i) => i + 1),
    'each persisted event once',
  )
  t.ok(whole.filter(({ type }) => type === 'process_progress').length < 100, 'the newest progress')
  t.notOk(whole.some((event) => 'recovered' in event))
  const gap = cut.findIndex((event) => 'recovered' in event)
  t.match(cut[gap], { type: 'subscribed', recovered: false, process: { status: 'completed' } }, 'that hub replays ten entries')
  t.ok(gap > 900, `${gap} events before it`)
  for (const told of [whole, cut]) t.equal(told.at(-1)?.type, 'process_completed')
})

t.test('HTTP: events and results go on over lost connections', async (t) => {
  const h = await startHarness(t, { processor: null })
  const [node] = h.nodes
  const client = clientOf(t, h, 'HTTP')
  const played = await PlayedBenchmark.submit(node?.hub)
  const job = client.job(played.id)
  await played.start()
  const { told, ended } = follow(job.events())
  const result = job.result()
  await eventually(() => told.length > 0)
  for (let round = 0; round < 3; round += 1) {
    await eventually(() => node?.hub.server.sessions.size === 2)
    for (const session of node?.hub.server.sessions ?? []) session.close('restart')
    for (let i = 0; i < 20; i += 1) await played.step()
  }
  await played.complete()
  await ended
  t.same(await result, PLAYED_RESULT)
  t.equal(told.filter(({ type }) => type === 'process_result').length, 60)
  t.equal(told.filter((event) => 'recovered' in event).length, 1, 'the connections are not to be seen')
})

t.test('HTTP: a hub that is not there, and a token that is none', async (t) => {
  const h = await startHarness(t, { processor: null })
  const port = await testPort()
  const nowhere = createClient({ url: `http://127.0.0.1:${port}`, token: 'x' })
  await t.rejects(nowhere.list(), { code: 'overloaded', status: 503, message: /cannot be reached: ECONNREFUSED$/ })
  await nowhere.close()
  const wrong = createClient({ url: `${h.nodes[0]?.http}/api`, token: h.token() })
  await t.rejects(wrong.list(), { code: 'no_route', message: `(GET ${h.nodes[0]?.http}/api/api/jobs?): is url that of a hub?` })
  await wrong.close()
  const stranger = createClient({ url: `${h.nodes[0]?.http}/`, token: `${SECRET}` })
  await t.rejects(stranger.list(), { code: 'unauthenticated', status: 401 })
  await t.rejects(all(stranger.job('some').events()), { code: 'unauthenticated' })
  await stranger.close()
  const invalid = (path: string) => ({ code: 'invalid', issues: [{ path }] })
  for (const url of ['', 'ftp://a', 'http://a:b@c', 'http://a?b']) t.throws(() => createClient({ url, token: 'x' }), invalid('/url'), url)
  t.throws(() => createClient({ url: 'http://a', token: '' }), invalid('/token'))
  t.throws(() => createClient({ url: 'http://a', token: 'x', owner: 'me' } as never), invalid('/owner'))
})

t.test('HTTP: a server that is no hub is an error that names no token', async (t) => {
  const answers: readonly [code: string, answer: RequestListener][] = [
    ['internal', (_request, response) => response.end('<html>')],
    ['internal', (_request, response) => response.end('{"jobs":{}}')],
    ['internal', (_request, response) => response.end('{"jobs":[null]}')],
    ['internal', (_request, response) => response.end('null')],
    ['internal', (_request, response) => response.writeHead(302, { location: '/login' }).end()],
    [
      'internal',
      (request, response) => (request.url === '/' ? response.end('{"jobs":[]}') : response.writeHead(301, { location: '/' }).end()),
    ],
    ['overloaded', () => {}],
    ['overloaded', (_request, response) => response.writeHead(200).write('{"jobs":')],
    ['overloaded', (_request, response) => response.writeHead(200, { 'content-length': 100 }).write('{"jobs":', () => response.destroy())],
    ['rate_limited', (_request, response) => response.writeHead(429, { 'retry-after': '-5' }).end('{"error":"toString"}')],
  ]
  for (const [code, answer] of answers) {
    const url = await serve(t, answer)
    const client = createClient({ url, token: 'a-secret', requestTimeoutMs: 200 })
    const requests: readonly (() => Promise<unknown>)[] = [
      () => client.list(),
      () => client.submit('run', INPUT),
      () => client.job('a').cancel(),
    ]
    for (const request of requests) {
      const error = await request().then(
        () => null,
        (error: RuncastError) => error,
      )
      t.match(error, { name: 'RuncastError', code, retryAfterMs: undefined }, `${answer}`)
      t.notMatch(inspect(error), 'a-secret')
    }
    await client.close()
  }
  const invalid = { code: 'invalid', message: /^token: expected/, issues: [{ path: '/token' }] }
  for (const token of ['a\nb', 'a b', 'ä', '']) {
    t.throws(() => createClient({ url: 'http://127.0.0.1:1', token }), invalid)
    await t.rejects(createClient({ url: 'http://127.0.0.1:1', token: () => token }).list(), invalid)
  }
})

t.test('HTTP: an invalid time limit is refused when the client is created', async (t) => {
  const invalid = { code: 'invalid', message: /^requestTimeoutMs: expected ms above 0/, issues: [{ path: '/requestTimeoutMs' }] }
  for (const requestTimeoutMs of [0, -1, Number.NaN, 2 ** 31])
    t.throws(() => createClient({ url: 'http://127.0.0.1:1', requestTimeoutMs }), invalid)
})

t.test('HTTP: close ends what is under way, and nothing begins after it', async (t) => {
  const held = await serve(t, () => {})
  const waiting = createClient({ url: held, token: 'x' })
  const asked: readonly Promise<unknown>[] = [
    waiting.list(),
    waiting.submit('run', INPUT),
    waiting.job('a').result(),
    waiting.job('a').events().next(),
  ]
  for (const each of asked) each.catch(() => {})
  await waiting.close()
  for (const each of asked) await t.rejects(each, { code: 'going_away' })

  const h = await startHarness(t, { processor: null })
  const sockets: WebSocket[] = []
  class Counted extends WebSocket {
    constructor(url: string) {
      super(url)
      sockets.push(this)
    }
  }
  const overHttp = () => createClient({ url: h.nodes[0]?.http ?? '', token: h.token(), WebSocket: Counted })
  for (const over of OVER) {
    const client = over === 'HTTP' ? overHttp() : clientOf(t, h, over)
    const job = await client.submit('run', INPUT)
    // The state is there; what waits for the end is about to begin.
    const [result, next] = [job.result(), job.events().next()]
    for (const each of [result, next]) each.catch(() => {})
    await job.status()
    await client.close()
    await t.rejects(result, { code: 'going_away' }, over)
    await t.rejects(next, { code: 'going_away' }, over)
  }
  // A socket that was still opening closes once it is open.
  await eventually(() => sockets.every(({ readyState }) => readyState === WebSocket.CLOSED))
  const client = clientOf(t, h, 'Redis')
  const submitted = client.submit('run', INPUT)
  await Promise.all([t.rejects(submitted, { code: 'going_away' }), client.close()])
})

t.test('Redis: options are settings in camelCase; what is unknown or not valid is refused by its path', async (t) => {
  const redis = { url: 'redis://127.0.0.1:1' }
  const invalid = (path: string, expected: RegExp | string = /./) => ({ code: 'invalid', issues: [{ path, expected }] })
  const refused: readonly [object, object][] = [
    [{ redis }, invalid('/owner')],
    [{ redis: {}, owner: 'a' }, invalid('/redis/url')],
    [{ redis: { url: 'http://a' }, owner: 'a' }, invalid('/redis/url', /^a redis:\/\/ or rediss:\/\/ URL/)],
    [{ redis: { ...redis, prefix: 'a b' }, owner: 'a' }, invalid('/redis/prefix')],
    [{ redis: { ...redis, db: 1 }, owner: 'a' }, invalid('/redis/db', 'to be absent: the options are url, prefix')],
    [{ redis, owner: 'a', finalTtlMs: 1 }, invalid('/finalTtlMs', /^an integer from 1000 to /)],
    [{ redis, owner: 'a', finalTtlMs: '5000' }, invalid('/finalTtlMs', 'a number')],
    [{ redis, owner: 'a', FINAL_TTL_MS: 5000 }, invalid('/FINAL_TTL_MS', /finalTtlMs/)],
    [{ redis, owner: 'a', limits: { maxKeys: 1 } }, invalid('/limits/maxKeys', /^an integer from 16/)],
    [{ redis, owner: 'a', limits: { keys: 1 } }, invalid('/limits/keys', /maxKeys/)],
    [{ redis, owner: 'a', auth: {} }, invalid('/auth')],
    [{ redis, owner: 'a', pingIntervalMs: 1000 }, invalid('/pingIntervalMs')],
    [{ redis, owner: 'a', settings: { runTimeoutS: 60 } }, invalid('/settings/runTimeoutS')],
  ]
  for (const [options, error] of refused) t.throws(() => createClient(options as never), error as Error, JSON.stringify(options))
  const client = createClient({ redis, owner: 'a', finalTtlMs: 5000, limits: { maxKeys: 100 } })
  await t.rejects(client.list(), { code: 'overloaded', reason: 'store_unreachable' })
  await client.close()
  await createClient({ redis, owner: 'a' }).close()
})
