import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import t from 'tap'
import { buildHubNode } from '../../src/app/hub-node.js'
import { loadConfig } from '../../src/config/config.js'
import { serveStream } from '../../src/http/routes/stream.js'
import { userScope } from '../../src/hub/scopes/user-scope.js'
import { workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { SECRET } from '../support/harness.js'
import { sharedTestRedis, startTestRedis } from '../support/redis.js'
import { SseClient } from '../support/sse-client.js'
import { TestClient } from '../support/test-client.js'
import { none, watch } from '../support/watched.js'

t.test('a page that may not connect is counted as refused, whether it was to be a socket or a request', async (t) => {
  const w = await watch(t, { processor: null, env: { ALLOWED_ORIGINS: 'https://app.example' } })
  const id = await w.h.submit()
  const headers = { origin: 'https://evil.example', authorization: `Bearer ${w.h.token()}` }
  const client = new TestClient(`${w.h.nodes[0]?.ws}/api/v2/ws/runs/${id}`, headers)
  t.match(await client.closed, { code: 4003 })
  await w.counts('runcast_refusals_total', 1, { via: 'http', code: 'forbidden' })
})

t.test('requests count at their end, however they end, and sockets are no requests', async (t) => {
  const w = await watch(t, { processor: null })
  const id = await w.h.submit()
  const route = { method: 'GET', route: '/api/v2/runs/:id/events' }
  const stream = new SseClient(`${w.h.nodes[0]?.http}/api/v2/runs/${id}/events`, { headers: { authorization: `Bearer ${w.h.token()}` } })
  await stream.next('status')
  const client = await w.h.connect(id)
  await client.next('status')
  t.equal((await w.hub()).sum('runcast_http_requests_total', route), 0, 'open')
  stream.terminate()
  await w.counts('runcast_http_requests_total', 1, { ...route, status: '200' })
  client.terminate()
  await w.sees('runcast_connections', none)

  const leaving = new AbortController()
  const claim = { method: 'POST', route: '/api/v2/jobs/claim' }
  const body = JSON.stringify({ kind: 'benchmark', wait_s: 30 })
  const headers = { authorization: `Bearer ${workerToken()}`, 'content-type': 'application/json' }
  const claiming = fetch(`${w.h.nodes[0]?.http}${claim.route}`, { method: 'POST', headers, body, signal: leaving.signal })
  await eventually(async () => (await w.hub()).sum('runcast_claims_waiting') === 1)
  leaving.abort()
  await t.rejects(claiming)
  await w.counts('runcast_http_requests_total', 1, { ...claim, status: 'aborted' })
  const read = await w.hub()
  t.equal(read.sum('runcast_http_request_seconds', claim), 0, 'it was not answered')
  t.equal(read.sum('runcast_http_requests_total', { route: '/api/v2/ws/runs/:id' }), 0)
})

t.test('a stream whose client has left before it begins is counted as open and as gone, each once', async (t) => {
  const redis = await sharedTestRedis()
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const node = await buildHubNode(
    loadConfig({ REDIS_URL: redis.url, REDIS_PREFIX: redis.prefix, JWT_SECRET: SECRET, LOG_LEVEL: 'silent', DRAIN_MS: '0' }),
    log,
  )
  t.teardown(() => node.close())
  const { server } = node
  server.get('/left', (request, reply) => {
    reply.raw.destroy()
    return serveStream(server, request, reply, userScope({ maxSubscriptions: 1 }))
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  for (let i = 0; i < 3; i += 1) await t.rejects(fetch(`http://127.0.0.1:${port}/left`))
  t.equal(server.tally.opened.sse, 3)
  await eventually(() => server.tally.connections.sse <= 0)
  await eventually(() => server.tally.requests.rows.some(([[, route], count]) => route === '/left' && count === 3))
  t.equal(server.tally.connections.sse, 0)
})

t.test('every connection to Redis that was lost and stands again is counted, once', async (t) => {
  const w = await watch(t, { redis: await startTestRedis(t), env: { WORKER_KINDS: 'run,optimization', SWEEP_INTERVAL_MS: '200' } })
  const id = await w.h.submit()
  await w.stage.play(id)
  await (await w.h.connect(id)).next('status')
  const admin = new Redis(w.h.redis.url)
  t.teardown(() => admin.disconnect())
  const own = await admin.client('ID')
  // Those with a name are the copies on which BullMQ waits; it replaces them by itself.
  const others = async () =>
    [...String(await admin.client('LIST')).matchAll(/^id=(\d+) .* name= /gm)].map(([, id]) => Number(id)).filter((id) => id !== own)
  // Until nobody opens another one.
  let before: number[] = []
  await eventually(
    async () => {
      // Redis turns its list around.
      const now = (await others()).toSorted((a, b) => a - b)
      const isSame = String(now) === String(before)
      before = now
      return isSame
    },
    { everyMs: 1000 },
  )
  for (const id of before) await admin.client('KILL', 'ID', id)
  await eventually(async () => (await others()).length >= before.length)
  const counted = async () =>
    (await w.hub()).sum('runcast_redis_reconnects_total') + (await w.worker()).sum('runcast_redis_reconnects_total')
  await eventually(async () => (await counted()) >= before.length)
  t.equal(await counted(), before.length)
})

t.test('a Redis that refuses one command: all else is told', async (t) => {
  const server = await startTestRedis(t)
  const admin = new Redis(server.url)
  t.teardown(() => admin.disconnect())
  await admin.call('ACL', 'SETUSER', 'hub', 'on', '>some-words', '~*', '&*', '+@all', '-client|list')
  const url = new URL(server.url)
  Object.assign(url, { username: 'hub', password: 'some-words' })
  const redis = { url: url.href, prefix: server.prefix }
  const w = await watch(t, { redis, processor: null, env: { READY_NEEDS_WORKER: 'yes' } })
  await w.h.submit()
  await w.counts('runcast_queue_jobs', 1, { queue: 'run', state: 'active' })
  await w.counts('runcast_redis_ready', 1)
  const read = await w.hub()
  t.equal(read.sum('runcast_ready'), 0, 'that a worker is there cannot be seen')
  t.notOk(
    read.lines.some(({ name }) => name === 'runcast_queue_workers'),
    'nor how many',
  )
})
