import { createHash } from 'node:crypto'
import t from 'tap'
import { buildWorkerNode } from '../../src/app/worker-node.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { BUILT_IN, runsBy } from '../support/kinds.js'
import { startTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const READY = { status: 200, body: { status: 'ready', checks: { redis: true, serving: true }, writable: true } }
const AWAY = {
  status: 503,
  body: { status: 'not ready', checks: { redis: false, serving: true }, writable: false, reason: 'store_unreachable' },
}
const LIVE = { status: 200, body: { status: 'live' } }

t.test('[OPS-1] a node is ready while it hears itself through Redis, and live always', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const ask = async (path: string) => {
    const { status, body } = await h.call('GET', path, { token: null })
    return { status, body }
  }
  t.same(await ask('/readyz'), READY, 'the first time that it is asked')
  t.same(await ask('/livez'), LIVE)
  t.same(h.faults, [])

  await h.redis.kill()
  await eventually(async () => (await ask('/readyz')).status === 503)
  t.same(await ask('/readyz'), AWAY)
  t.same(await ask('/livez'), LIVE)
  await h.redis.restart()
  await eventually(async () => (await ask('/readyz')).status === 200)
  t.same(await ask('/readyz'), READY)

  // A frozen server keeps its connections: only an answer proves anything.
  process.kill(h.redis.server.pid, 'SIGSTOP')
  t.same(await ask('/readyz'), AWAY)
  t.same(await ask('/livez'), LIVE)
  process.kill(h.redis.server.pid, 'SIGCONT')
  await eventually(async () => (await ask('/readyz')).status === 200)
  const id = await h.submit()
  t.match(await (await h.connect(id)).next(), { type: 'status', status: 'queued' }, 'and it serves')
})

t.test('[OPS-1] with READY_NEEDS_WORKER a node is ready only while a worker is there', async (t) => {
  const h = await startHarness(t, { processor: null, env: { READY_NEEDS_WORKER: 'yes' } })
  const ready = async () => {
    const { status, body } = await h.call('GET', '/readyz', { token: null })
    return { status, body }
  }
  await eventually(async () => (await ready()).body.checks.redis)
  t.same(await ready(), {
    status: 503,
    body: { status: 'not ready', checks: { redis: true, worker: false, serving: true }, writable: true },
  })
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => h.faults.push(fields) }
  const worker = await buildWorkerNode(h.config, [runsBy(new Stage().processor)], log)
  await worker.start()
  await eventually(async () => (await ready()).status === 200)
  t.same(await ready(), { status: 200, body: { status: 'ready', checks: { redis: true, worker: true, serving: true }, writable: true } })
  await worker.close()
  await eventually(async () => (await ready()).status === 503)
  t.same((await ready()).body.checks, { redis: true, worker: false, serving: true })
  t.same(h.faults, [])
})

t.test('[OPS-1] a worker that Redis has lost and found again counts again', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: new Stage().processor, env: { READY_NEEDS_WORKER: 'yes' } })
  const checks = async () => (await h.call('GET', '/readyz', { token: null })).body.checks
  await eventually(async () => (await checks()).worker)
  await h.redis.kill()
  await eventually(async () => !(await checks()).worker)
  t.same(await checks(), { redis: false, worker: false, serving: true })
  await h.redis.restart()
  await eventually(async () => {
    const { redis, worker } = await checks()
    return redis && worker
  })
})

t.test('[OPS-2] /docs shows the OpenAPI of all routes, and nothing is loaded from elsewhere', async (t) => {
  const h = await startHarness(t, { processor: null })
  const { http } = h.nodes[0] ?? { http: '' }
  const page = await fetch(`${http}/docs`)
  t.match(page.headers.get('content-type'), /^text\/html/)
  t.equal(page.status, 200)
  const html = await page.text()
  t.match(html, /^<!doctype html>/i)
  t.notMatch(html, /\b(https?|wss?):/i, 'no address of another host')
  t.notMatch(html, /["'(=]\s*\/\/\w/, 'nor one without its scheme')
  const policy = page.headers.get('content-security-policy')
  t.match(policy, "default-src 'none'", 'and a browser would not go there')
  t.notMatch(policy, /\*|https?:|\.\w|script-src/)
  t.notMatch(html, /<script|\son\w+=|\ssrc=/i)
  const [style = ''] = /(?<=<style>)[\s\S]*(?=<\/style>)/.exec(html) ?? []
  t.match(policy, `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`)
  const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, path]) => String(path))
  for (const path of links.filter((link) => !link.startsWith('#'))) {
    const response = await fetch(new URL(path, page.url))
    t.equal(response.status, 200, path)
    await response.arrayBuffer()
  }
  for (const link of new Set(links.filter((link) => link.startsWith('#')))) t.ok(html.includes(`id="${link.slice(1)}"`), link)
  for (const text of ['/api/v2/runs/{id}/cancel', '/ws', '4001', 'population']) t.match(html, text)

  const api = (await h.call('GET', '/docs/openapi.json', { token: null })).body
  const routes = Object.entries<object>(api.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  t.same(routes.sort(), [
    'DELETE /api/admin/sessions',
    'DELETE /api/admin/sessions/{id}',
    'DELETE /api/revocations/{id}',
    'GET /api/admin/jobs',
    'GET /api/admin/queues',
    'GET /api/admin/sessions',
    'GET /api/admin/workers',
    'GET /api/jobs',
    'GET /api/jobs/{id}',
    'GET /api/jobs/{id}/artifacts',
    'GET /api/jobs/{id}/artifacts/{name}',
    'GET /api/jobs/{id}/events',
    'GET /api/jobs/{id}/input',
    'GET /api/jobs/{id}/log',
    'GET /api/jobs/{id}/series',
    'GET /api/models',
    'GET /api/processes',
    'GET /api/processes/events',
    'GET /api/processes/{id}',
    'GET /api/processes/{id}/artifacts',
    'GET /api/processes/{id}/artifacts/{name}',
    'GET /api/processes/{id}/events',
    'GET /api/processes/{id}/input',
    'GET /api/processes/{id}/log',
    'GET /api/processes/{id}/series',
    'GET /api/revocations',
    'GET /api/v2/optimizations',
    'GET /api/v2/optimizations/{id}',
    'GET /api/v2/optimizations/{id}/artifacts',
    'GET /api/v2/optimizations/{id}/artifacts/{name}',
    'GET /api/v2/optimizations/{id}/events',
    'GET /api/v2/optimizations/{id}/input',
    'GET /api/v2/optimizations/{id}/iterations',
    'GET /api/v2/optimizations/{id}/log',
    'GET /api/v2/optimizations/{id}/pareto',
    'GET /api/v2/optimizations/{id}/series',
    'GET /api/v2/runs',
    'GET /api/v2/runs/{id}',
    'GET /api/v2/runs/{id}/artifacts',
    'GET /api/v2/runs/{id}/artifacts/{name}',
    'GET /api/v2/runs/{id}/events',
    'GET /api/v2/runs/{id}/input',
    'GET /api/v2/runs/{id}/log',
    'GET /api/v2/runs/{id}/series',
    'GET /livez',
    'GET /metrics',
    'GET /readyz',
    'PATCH /api/jobs/{id}',
    'PATCH /api/processes/{id}',
    'PATCH /api/v2/optimizations/{id}',
    'PATCH /api/v2/runs/{id}',
    'POST /api/benchmark',
    'POST /api/jobs',
    'POST /api/jobs/{id}/cancel',
    'POST /api/jobs/{id}/pause',
    'POST /api/jobs/{id}/resume',
    'POST /api/jobs/{id}/retry',
    'POST /api/processes/{id}/cancel',
    'POST /api/processes/{id}/retry',
    'POST /api/revocations',
    'POST /api/v2/jobs/claim',
    'POST /api/v2/jobs/{id}/events',
    'POST /api/v2/optimizations',
    'POST /api/v2/optimizations/{id}/cancel',
    'POST /api/v2/optimizations/{id}/pause',
    'POST /api/v2/optimizations/{id}/resume',
    'POST /api/v2/optimizations/{id}/retry',
    'POST /api/v2/runs',
    'POST /api/v2/runs/{id}/cancel',
    'POST /api/v2/runs/{id}/retry',
    'PUT /api/v2/jobs/{id}/artifacts/{name}',
  ])
  const submit = api.paths['/api/v2/runs'].post.requestBody.content['application/json'].schema
  const { properties } = BUILT_IN.get('run').input
  t.same(submit.properties.input.properties.width_mm, JSON.parse(JSON.stringify(properties.width_mm)))
  t.same(Object.keys(submit.properties.input.properties), Object.keys(properties), 'the schema that validates')
  t.same(
    submit.properties.input.required,
    ['material', 'profile', 'width_mm', 'height_mm', 'thickness_mm'],
    'what has a default may be left out',
  )
  t.same(submit.required, ['input'])
  const told = api.paths['/api/v2/jobs/{id}/events'].post.requestBody.content['application/json'].schema.properties.events
  const types = told.items.anyOf.map(({ properties }: { properties: { type: { const: string } } }) => properties.type.const)
  t.same([...new Set(types)].sort(), [...new Set(BUILT_IN.claimable.flatMap(({ claimEvents }) => Object.keys(claimEvents ?? {})))].sort())
  const limit = api.paths['/api/v2/runs'].get.parameters.find(({ name }: { name: string }) => name === 'limit')
  t.match(limit, { in: 'query', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } })
  t.match(api, { openapi: /^3\.1/, components: { securitySchemes: { bearer: { scheme: 'bearer' } } } })
  t.same(h.faults, [])
})

t.test('[OPS-3] a node that stops closes its sockets with 1012; those of another node stay', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor })
  const id = await h.submit()
  const { job } = await stage.play(id)
  const watching = await h.connect(id)
  const anonymous = await h.connect(id, { token: null })
  const elsewhere = await h.connect(id, { node: 1 })
  for (const client of [watching, elsewhere]) await client.next('status')
  await Promise.all([h.nodes[0]?.hub.close(), watching.closed])
  for (const client of [watching, anonymous]) t.same(await client.closed, { code: 1012, reason: 'This server is stopping; reconnect.' })
  await t.rejects(fetch(`${h.nodes[0]?.http}/livez`), 'nobody is there any more')
  job.metric('after_all', 1, '1')
  t.match(await elsewhere.next(), { type: 'metric_update', metric_name: 'after_all' })
  t.equal(elsewhere.socket.readyState, elsewhere.socket.OPEN)
  t.same(h.faults, [])
})

t.test('[OPS-3] a client that does not answer does not hold up the end', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const deaf = await h.connect(id)
  await deaf.next('status')
  deaf.pause()
  const begun = Date.now()
  await h.nodes[0]?.hub.close()
  t.ok(Date.now() - begun < 8000, `${Date.now() - begun} ms; a stopping process has ten seconds`)
  deaf.terminate()
  t.same(h.faults, [])
})
