import { Redis } from 'ioredis'
import t from 'tap'
import type { MetricName } from '../../src/observability/table.js'
import { eventually } from '../support/eventually.js'
import { startTestRedis } from '../support/redis.js'
import { readExposition, type Scraped } from '../support/scraped.js'
import { SseClient } from '../support/sse-client.js'
import type { Play } from '../support/stage.js'
import { assertDeclared, none, some, type Watched, watch } from '../support/watched.js'

t.test('connections, sessions, subscriptions and topics come and go with their clients', async (t) => {
  const w = await watch(t)
  const id = await w.h.submit()
  const sockets = [await w.h.connect(id), await w.h.connect(id)]
  const stream = new SseClient(`${w.h.nodes[0]?.http}/api/v2/runs/${id}/events`, { headers: { authorization: `Bearer ${w.h.token()}` } })
  await stream.next('status')
  const silent = await w.h.connect(id, { token: null })
  for (const client of sockets) await client.next('status')
  await w.counts('runcast_connections', 3, { transport: 'websocket' })
  await w.counts('runcast_connections', 1, { transport: 'sse' })
  await w.counts('runcast_connections_opened_total', 4)
  await w.counts('runcast_sessions', 3)
  await w.counts('runcast_subscriptions', 3)
  await w.counts('runcast_topics', 1)
  for (const client of [...sockets, silent, stream]) client.terminate()
  for (const name of ['runcast_connections', 'runcast_sessions', 'runcast_subscriptions', 'runcast_topics'] as const)
    await w.sees(name, none)
  await w.counts('runcast_connections_opened_total', 4)
  t.same(w.h.faults, [])
})

t.test('entries are counted once as they come and once for each client, and the way of a durable one is measured', async (t) => {
  const w = await watch(t)
  const id = await w.h.submit()
  const { job, complete } = await w.stage.play(id)
  const clients = [await w.h.connect(id), await w.h.connect(id)]
  for (const client of clients) await client.next('status')
  job.metric('early', 1, 'Hz')
  for (const client of clients) await client.next('metric_update')
  const before = await w.hub()
  t.equal(before.sum('runcast_publish_to_socket_seconds'), 0, 'measured from the first scrape on')
  job.metric('m', 1, 'Hz')
  job.progress({ percent: 1, phase: 'solving', message: 'x' })
  for (const client of clients) await client.next('progress')
  const after = await w.hub()
  const added = (name: MetricName) => after.sum(name) - before.sum(name)
  t.equal(added('runcast_entries_received_total'), 2)
  t.equal(added('runcast_entries_delivered_total'), 4)
  t.equal(added('runcast_publish_to_socket_seconds'), 1, 'the durable one, once for all clients')
  const seconds = after.lines.find(({ name }) => name === 'runcast_publish_to_socket_seconds_sum')?.value ?? -1
  t.ok(seconds >= 0 && seconds < 5, `${seconds} s`)
  w.saw('runcast_entries_received_total', 'runcast_entries_delivered_total', 'runcast_publish_to_socket_seconds')
  complete()
  for (const client of clients) await client.next('completed')
  const late = await w.h.connect(id)
  await late.next('completed')
  t.equal(
    (await w.hub()).sum('runcast_publish_to_socket_seconds'),
    after.sum('runcast_publish_to_socket_seconds') + 1,
    'a replay is no delivery',
  )
  t.same(w.h.faults, [])
})

const LIMIT_BYTES = 1_048_576

/** Speaks until a metric of the hub has moved: past what the kernel's buffers take for a client that does not read. */
async function speakUntil(w: Watched, { job }: Play, hasMoved: (read: Scraped) => boolean): Promise<void> {
  await eventually(
    async () => {
      job.progress({ percent: 1, phase: 'solving', message: 'x'.repeat(1000) })
      for (let i = 0; i < 1000; i += 1) job.metric(`m${i % 50}`, i, 'x'.repeat(32))
      await job.flush()
      return hasMoved(await w.hub())
    },
    { timeoutMs: 30_000, everyMs: 1 },
  )
}

t.test('a slow client: what waits for it, what is left out, and its resync', async (t) => {
  const w = await watch(t, { env: { MAX_LOG_ENTRIES: '1000', MAX_SERIES: '1' } })
  const id = await w.h.submit()
  const play = await w.stage.play(id)
  const slow = await w.h.connect(id)
  await slow.next('status')
  await w.counts('runcast_outbox_limit_bytes', LIMIT_BYTES)
  slow.pause()
  await speakUntil(w, play, (read) => read.sum('runcast_entries_conflated_total') > 0)
  w.saw('runcast_entries_conflated_total')
  await w.sees('runcast_outbox_bytes', some)
  await w.sees('runcast_outbox_largest_bytes', some)
  const [node] = w.h.nodes
  // What it has not read is dropped at the limit: from then on nothing more waits for it. Less than half of the limit may also have found room on its way.
  let most = 0
  await speakUntil(w, play, () => {
    const [{ backlogBytes } = { backlogBytes: 0 }] = node?.hub.server.sessions ?? []
    most = Math.max(most, backlogBytes)
    return most > LIMIT_BYTES / 2 && backlogBytes < most / 2
  })
  slow.resume()
  await w.counts('runcast_resyncs_total', 1)
  play.complete()
  await slow.next('completed')
  t.same(w.h.faults, [])
})

t.test('a client that reads nothing any more is cut off, and counted so', async (t) => {
  const w = await watch(t, { env: { MAX_OUTBOX_BYTES: '65536', MAX_LOG_ENTRIES: '1000', STALL_MS: '1000', MAX_SERIES: '1' } })
  const id = await w.h.submit()
  const play = await w.stage.play(id)
  const dead = await w.h.connect(id)
  await dead.next('status')
  dead.pause()
  await speakUntil(w, play, (read) => read.sum('runcast_closes_total', { code: '1006', reason: 'stalled' }) > 0)
  await w.sees('runcast_connections', none)
  play.complete()
})

t.test('closes, refusals and requests, by names that are a few', async (t) => {
  const w = await watch(t, { processor: null })
  const id = await w.h.submit()
  const client = await w.h.connect(id)
  await (await w.h.connect('no-such-job')).closed
  await w.counts('runcast_closes_total', 1, { code: '4004', reason: 'not_found' })
  await client.next('status')
  client.send('no JSON')
  await client.next('refused')
  await w.counts('runcast_refusals_total', 1, { via: 'socket', code: 'invalid' })
  await w.h.call('GET', `/api/v2/runs/${id}`)
  await w.h.call('GET', `/api/v2/runs/${id}`, { token: null })
  await w.h.call('GET', `/nothing/at/${id}`)
  await w.h.call('POST', `/nothing/at/all/${id}`)
  await w.counts('runcast_refusals_total', 1, { via: 'http', code: 'unauthenticated' })
  await w.counts('runcast_refusals_total', 2, { via: 'http', code: 'no_route' })
  await w.counts('runcast_http_requests_total', 1, { method: 'GET', route: '/api/v2/runs/:id', status: '200' })
  await w.counts('runcast_http_requests_total', 1, { method: 'GET', route: '/api/v2/runs/:id', status: '401' })
  await w.counts('runcast_http_requests_total', 2, { method: 'any', route: 'unmatched', status: '404' })
  await w.counts('runcast_http_request_seconds', 2, { method: 'GET', route: '/api/v2/runs/:id' })
  t.same(w.h.faults, [])
})

t.test('upgrades that are refused, by reason', async (t) => {
  const w = await watch(t, { processor: null, env: { MAX_SOCKETS: '1', MAX_UPGRADES_PER_SECOND: '2' } })
  const id = await w.h.submit()
  const first = await w.h.connect(id)
  await first.next('status')
  await w.h.connect(id).catch(() => {})
  await w.counts('runcast_upgrades_refused_total', 1, { reason: 'full' })
  first.terminate()
  await w.sees('runcast_connections', none)
  await eventually(async () => {
    await w.h.connect(id).then(
      (client) => client.terminate(),
      () => {},
    )
    return (await w.hub()).sum('runcast_upgrades_refused_total', { reason: 'rate' }) > 0
  })
  w.h.nodes[0]?.hub.guards.upgrades.drain()
  await w.h.connect(id).catch(() => {})
  await w.counts('runcast_upgrades_refused_total', 1, { reason: 'draining' })
})

t.test('a job that is read again: with nothing new, with what was missed, and when it is gone', async (t) => {
  const w = await watch(t, { redis: await startTestRedis(t), env: { QUIET_MS: '100', FINAL_TTL_MS: '1000' } })
  const id = await w.h.submit()
  const { job, complete } = await w.stage.play(id)
  const client = await w.h.connect(id)
  await client.next('status')
  await w.sees('runcast_heals_total', some, { result: 'nothing' })
  const admin = new Redis(w.h.redis.url)
  t.teardown(() => admin.disconnect())
  await eventually(async () => {
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    job.metric('m', 1, 'Hz')
    await job.flush()
    return (await w.hub()).sum('runcast_heals_total', { result: 'entries' }) > 0
  })
  await w.sees('runcast_redis_reconnects_total', some)
  complete()
  await client.next('completed')
  await w.sees('runcast_heals_total', some, { result: 'gone' })
})

t.test('Redis away: /metrics answers in time with what it knows, and nothing stale; back, all is there', async (t) => {
  const redis = await startTestRedis(t)
  const w = await watch(t, { redis, env: { QUIET_MS: '100' } })
  const id = await w.h.submit()
  const { job } = await w.stage.play(id)
  const client = await w.h.connect(id)
  await client.next('status')
  await w.counts('runcast_redis_ready', 1)
  await w.counts('runcast_redis_ready', 1, {}, 'worker')
  await w.counts('runcast_redis_writable', 1)
  await w.counts('runcast_redis_writable', 1, {}, 'worker')
  await w.counts('runcast_queue_jobs', 1, { queue: 'run', state: 'active' })
  process.kill(redis.server.pid, 'SIGSTOP')
  await w.counts('runcast_redis_ready', 0)
  await w.counts('runcast_ready', 0)
  await w.counts('runcast_redis_ready', 0, {}, 'worker')
  await w.counts('runcast_redis_writable', 0)
  await w.counts('runcast_redis_writable', 0, {}, 'worker')
  await w.counts('runcast_ready', 0, {}, 'worker')
  const begun = Date.now()
  const frozen = await w.hub()
  t.ok(Date.now() - begun < 5000, `${Date.now() - begun} ms; Prometheus waits ten seconds`)
  for (const name of ['runcast_queue_jobs', 'runcast_queue_head_wait_seconds', 'runcast_queue_workers'])
    t.notOk(
      frozen.lines.some((line) => line.name === name),
      `${name} is not known`,
    )
  t.equal(frozen.sum('runcast_connections'), 1)
  process.kill(redis.server.pid, 'SIGCONT')

  await redis.kill()
  await w.counts('runcast_redis_ready', 0)
  job.metric('m', 1, 'Hz')
  job.metric('m', 2, 'Hz')
  await w.sees('runcast_publish_retries_total', some, {}, 'worker')
  job.metric('m', 3, 'Hz')
  await w.sees('runcast_reports_buffered', some, {}, 'worker')
  await w.sees('runcast_heals_total', some, { result: 'unreachable' })
  await redis.restart()
  await w.counts('runcast_redis_ready', 1)
  await w.counts('runcast_ready', 1)
  await w.counts('runcast_ready', 1, {}, 'worker')
  await eventually(() => client.all('metric_update').some(({ value }) => value === 3))
  await w.counts('runcast_reports_buffered', 0, {}, 'worker')
  await w.sees('runcast_redis_reconnects_total', some, {}, 'worker')
  await w.counts('runcast_queue_jobs', 1, { queue: 'run', state: 'active' })
})

t.test('a clock that is set shows how far it is from that of Redis', async (t) => {
  const w = await watch(t)
  await w.counts('runcast_clock_ahead_seconds', 0)
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => now() - 60_000
  await w.sees('runcast_clock_ahead_seconds', (value) => Math.abs(value + 60) < 1)
  await w.sees('runcast_clock_ahead_seconds', (value) => Math.abs(value + 60) < 1, {}, 'worker')
})

t.test('the answer is the text format, of Node as well, and asking costs Redis no more than once a second', async (t) => {
  const w = await watch(t, { redis: await startTestRedis(t), processor: null })
  const response = await fetch(`${w.h.nodes[0]?.http}/metrics`)
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  const read = readExposition(await response.text())
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds'])
    t.ok(read.types.has(name), name)
  // Prometheus sees no rise in a series that begins with 1: what alerts wait for begins with 0.
  for (const zero of [
    'runcast_closes_total{code="4002",reason="idle"}',
    'runcast_fenced_writes_total{reason="stale_writer"}',
    'runcast_forced_ends_total{kind="run"}',
    'runcast_finals_total{kind="run",status="failed",source="sweeper",code="worker_lost"}',
  ])
    t.ok(read.text.includes(`\n${zero} 0\n`), zero)
  const admin = new Redis(w.h.redis.url)
  t.teardown(() => admin.disconnect())
  const asked = async () => Number(/cmdstat_client\|list:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
  const [before, begun] = [await asked(), performance.now()]
  await Promise.all(Array.from({ length: 50 }, () => w.hub()))
  t.ok((await asked()) - before <= 2 + Math.floor((performance.now() - begun) / 1000), 'fifty scrapes')
})

t.test('each metric about clients and Redis was seen moving, and all are as declared', async (t) => assertDeclared(t, 'clients'))
