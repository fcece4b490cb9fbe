import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { withBuiltIns } from '../../src/app/define-kind.js'
import { buildHubNode } from '../../src/app/hub-node.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { SseClient } from '../support/sse-client.js'
import { TestClient } from '../support/test-client.js'

/** What a submit is answered with. */
interface Accepted {
  readonly run_id: string
  readonly links: Readonly<Record<'self' | 'events' | 'cancel' | 'retry' | 'socket', string>>
}

const PAGE = 'https://app.example'

/** A request as a browser makes it for a page, with headers that `fetch` would not let through. */
async function ask(h: Harness, method: string, path: string, headers: Record<string, string> = {}, body = '') {
  const sent = request(`${h.nodes[0]?.http}${path}`, { method, headers, agent: false }).end(body)
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('latin1')) text += chunk
  return { status: response.statusCode as number, headers: response.headers as Record<string, string>, text }
}

t.test('[CORS-1] without ALLOWED_ORIGINS any page may read, and none with its cookies', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const bearer = { authorization: `Bearer ${h.token()}` }
  const origin = { origin: PAGE }
  for (const [path, headers, status] of [
    ['/api/v2/runs', { ...origin, ...bearer }, 200],
    ['/api/v2/runs', origin, 401],
    ['/nowhere', origin, 404],
    ['/livez', origin, 200],
  ] as const) {
    const answer = await ask(h, 'GET', path, headers)
    t.equal(answer.status, status)
    t.equal(answer.headers['access-control-allow-origin'], '*', `${path} ${status}`)
    t.equal(answer.headers['access-control-allow-credentials'], undefined)
    t.equal(
      answer.headers['access-control-expose-headers'],
      'Content-Disposition, Content-Range, ETag, Location, Retry-After, X-Request-Id',
    )
  }
  const preflight = await ask(h, 'OPTIONS', '/api/v2/runs', {
    ...origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,idempotency-key,last-event-id',
  })
  t.match(preflight, { status: 204, headers: { 'access-control-allow-methods': /POST, PUT/, 'access-control-max-age': '600' } })
  t.equal(
    preflight.headers['access-control-allow-headers'],
    'Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Range, Traceparent, X-Request-Id',
  )
  const stream = new SseClient(`${h.nodes[0]?.http}/api/v2/runs/${id}/events`, { headers: { ...origin, ...bearer } })
  t.equal((await stream.opened).headers['access-control-allow-origin'], '*', 'a stream too')
  stream.terminate()
  t.same(h.faults, [])
})

t.test('[CORS-2] with ALLOWED_ORIGINS its pages may read with cookies, the hub’s own may connect, others are refused', async (t) => {
  const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: PAGE, AUTH_COOKIE: 'token' } })
  const cookie = { cookie: `token=${h.token()}` }
  const listed = await ask(h, 'GET', '/api/v2/runs', { origin: PAGE, ...cookie })
  t.match(listed, { status: 200, headers: { 'access-control-allow-origin': PAGE, 'access-control-allow-credentials': 'true' } })
  t.match(listed.headers.vary, /origin/i)
  const other = await ask(h, 'GET', '/api/v2/runs', { origin: 'https://evil.example', authorization: `Bearer ${h.token()}` })
  t.equal(other.status, 403)
  t.equal(other.headers['access-control-allow-origin'], undefined)
  const preflight = { 'access-control-request-method': 'POST' }
  t.equal((await ask(h, 'OPTIONS', '/api/v2/runs', { origin: PAGE, ...preflight })).status, 204)
  t.not((await ask(h, 'OPTIONS', '/api/v2/runs', { origin: 'https://evil.example', ...preflight })).status, 204)
  const own = await ask(h, 'POST', '/api/v2/runs/x/cancel', { origin: h.nodes[0]?.http ?? '', ...cookie })
  t.equal(own.status, 404, 'a page of its own may write')
  t.equal(own.headers['access-control-allow-credentials'], undefined)
  t.same(h.faults, [])
})

t.test('[AUTH-4] a GET without Origin brings a cookie where the browser says that it is of the same origin', async (t) => {
  const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: PAGE, AUTH_COOKIE: 'token' } })
  const cookie = { cookie: `token=${h.token()}` }
  const status = async (method: string, site?: string) =>
    (
      await ask(h, method, method === 'POST' ? '/api/v2/runs/x/cancel' : '/api/v2/runs', {
        ...cookie,
        ...(site && { 'sec-fetch-site': site }),
      })
    ).status
  t.equal(await status('GET', 'same-origin'), 200)
  t.equal(await status('HEAD', 'same-origin'), 200)
  for (const site of ['same-site', 'cross-site', 'none', undefined]) t.equal(await status('GET', site), 401, `${site}`)
  t.equal(await status('POST', 'same-origin'), 401, 'with what writes a browser sends Origin')
})

t.test('[HTTP-3] every answer has the headers that keep a browser from using it for anything else', async (t) => {
  const h = await startHarness(t, { processor: null })
  for (const path of ['/api/v2/runs', '/livez', '/nowhere']) {
    const { headers } = await ask(h, 'GET', path, { authorization: `Bearer ${h.token()}` })
    t.match(
      headers,
      {
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      },
      path,
    )
    t.equal(headers['strict-transport-security'], undefined, 'which is for https')
  }
})

t.test('[HTTP-2] another method is 405 with Allow, another content type 415', async (t) => {
  const h = await startHarness(t, { processor: null })
  for (const [method, path, allow] of [
    ['PUT', '/api/v2/runs', 'GET, HEAD, POST'],
    ['GET', '/api/v2/runs/x/cancel', 'POST'],
    ['POST', '/api/v2/runs/x', 'GET, HEAD'],
    ['DELETE', '/livez', 'GET, HEAD'],
    ['QUERY', '/livez', 'GET, HEAD'],
  ] as const) {
    const answer = await ask(h, method, path)
    t.match(
      { ...answer, body: JSON.parse(answer.text) },
      { status: 405, headers: { allow }, body: { error: 'method_not_allowed', detail: [] } },
      path,
    )
  }
  for (const type of ['application/xml', 'text/plain', 'application/x-www-form-urlencoded']) {
    const headers = { authorization: `Bearer ${h.token()}`, 'content-type': type }
    const answer = await ask(h, 'POST', '/api/v2/runs', headers, '{}')
    t.match({ ...answer, body: JSON.parse(answer.text) }, { status: 415, body: { error: 'unsupported_type', detail: [] } }, type)
  }
})

t.test('[HTTP-4] a parameter that a list, a page or a write does not know is 422 with those that it does', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  for (const [method, path, known] of [
    ['GET', '/api/processes?colour=red', 'cursor, kind, limit, owner, parent, since, status, tag, title, token, until'],
    ['GET', '/api/v2/runs?colour=red&limit=1', 'cursor, limit, owner, parent, since, status, tag, title, token, until'],
    [
      'GET',
      `/api/v2/runs/${id}/events?from=1&colour=red`,
      'after, artifacts, epoch, health, last_event_id, limit, log, log_after, log_epoch, series, token',
    ],
    ['POST', '/api/v2/runs/x/cancel?force=1&colour=red', 'token'],
  ] as const) {
    const { status, body } = await h.call(method, path)
    t.equal(status, 422, path)
    const fault = { path: '/querystring/colour', expected: `to be absent: the parameters of this address are ${known}` }
    t.match(body, { error: 'invalid' })
    t.match(body.detail.at(-1), fault)
  }
  t.equal((await h.call('GET', `/api/v2/runs?token=${h.token()}`, { token: null })).status, 200)
  t.equal((await h.call('GET', `/api/v2/runs/${id}?_=1`)).status, 200, 'a state has no page')
  const stream = new SseClient(`${h.nodes[0]?.http}/api/v2/runs/${id}/events?_=1&token=${h.token()}`)
  t.equal((await stream.opened).statusCode, 200)
  stream.terminate()
  const client = await h.connect(id, { query: '_=1' })
  await client.next('status')
})

t.test('[HTTP-7] an upgrade where no WebSocket is served is 404, and no subprotocol is chosen', async (t) => {
  const h = await startHarness(t, { processor: null })
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    'sec-websocket-protocol': 'evil, chat',
  }
  for (const path of ['/livez', '/api/v2/runs', '/nowhere']) {
    const answer = await ask(h, 'GET', path, upgrade)
    t.match({ status: answer.status, body: JSON.parse(answer.text) }, { status: 404, body: { error: 'no_route' } }, path)
  }
  const sent = request(`${h.nodes[0]?.http}/ws`, { headers: upgrade, agent: false }).end()
  const [response, socket] = await once(sent, 'upgrade')
  socket.destroy()
  t.equal(response.statusCode, 101)
  t.equal(response.headers['sec-websocket-protocol'], undefined)
  t.same(h.faults, [])
})

t.test('[HTTP-7] an offer of another protocol is ignored, and the request answered', async (t) => {
  const h = await startHarness(t, { processor: null })
  // As the HTTP client of Java offers HTTP/2 with each request.
  const offer = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAEAAEAAAAIAAAAB' }
  const headers = { ...offer, authorization: `Bearer ${h.token()}`, 'content-type': 'application/json' }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (const [method, path, body, status] of [
    ['GET', '/api/v2/runs', '', 200],
    ['POST', '/api/v2/runs', JSON.stringify({ input: HORN }), 202],
    ['POST', '/api/v2/runs', '{', 400],
    ['GET', '/livez', '', 200],
  ] as const) {
    const sent = request(`${h.nodes[0]?.http}${path}`, { method, headers: { ...headers, 'content-length': body.length }, agent }).end(body)
    const [response] = await once(sent, 'response')
    t.equal(response.statusCode, status, `${method} ${path} ${body}`)
    await once(response.resume(), 'end')
  }
  t.same(h.faults, [])
})

t.test('[HTTP-5] no body is no body where none is read, whatever content type is named', async (t) => {
  const h = await startHarness(t, { processor: null })
  for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain']) {
    const id = await h.submit()
    for (const [path, status] of [
      [`/api/v2/runs/${id}/cancel`, 202],
      [`/api/processes/${id}/retry`, 202],
      ['/api/v2/optimizations/x/pause', 404],
      ['/api/v2/optimizations/x/resume', 404],
    ] as const) {
      const answer = await h.call('POST', path, { headers: { 'content-type': type } })
      t.equal(answer.status, status, `${type} ${path}`)
    }
  }
  t.equal(
    (await h.call('POST', '/api/v2/runs', { headers: { 'content-type': 'application/json' } })).status >= 400,
    true,
    'where one is read it is missing',
  )
})

t.test('[HTTP-6] behind a proxy that takes a prefix off, links and Location have it', async (t) => {
  const proxy = createServer()
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const publicUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/jobs`
  const h = await startHarness(t, { processor: null, env: { PUBLIC_URL: `${publicUrl}/`, ALLOWED_ORIGINS: PAGE } })
  proxyTo(t, proxy, '/jobs', h.nodes[0]?.http ?? '')
  const headers = { authorization: `Bearer ${h.token()}`, 'content-type': 'application/json' }
  const submitted = await fetch(`${publicUrl}/api/v2/runs`, { method: 'POST', headers, body: JSON.stringify({ input: HORN }) })
  const { run_id, links } = (await submitted.json()) as Accepted
  t.equal(submitted.headers.get('location'), `/jobs/api/v2/runs/${run_id}`)
  t.equal(links.socket, `/jobs/api/v2/ws/runs/${run_id}`)
  for (const link of [links.self, links.events]) t.equal((await fetch(new URL(link, publicUrl), { headers })).status, 200, link)
  t.equal((await fetch(new URL(links.cancel, publicUrl), { method: 'POST', headers })).status, 202)
  const retried = await fetch(new URL(links.retry, publicUrl), { method: 'POST', headers })
  t.equal(((await retried.json()) as Accepted).links.self, links.self)
  const page = await fetch(`${publicUrl}/docs`)
  t.match(page.url, /\/jobs\/docs\/$/)
  const api = (await (await fetch(`${publicUrl}/docs/openapi.json`)).json()) as { servers: object }
  t.same(api.servers, [{ url: publicUrl }])
  const own = await fetch(`${publicUrl}/api/v2/runs`, { headers: { ...headers, origin: new URL(publicUrl).origin } })
  t.equal(own.status, 200, 'the page at PUBLIC_URL is one of the hub’s own')
})

t.test('[OPS-2] the pages of /docs are made once: compressed, with ETag, and off where DOCS is', async (t) => {
  const h = await startHarness(t, { processor: null })
  for (const path of ['/docs/', '/docs/openapi.json', '/docs/openapi.yaml', '/docs/asyncapi.json']) {
    const first = await ask(h, 'GET', path)
    const plain = await ask(h, 'GET', path)
    t.equal(plain.status, 200)
    t.equal(plain.headers['content-type'], first.headers['content-type'])
    t.ok(plain.text === first.text, `${path} says the same the second time`)
    const small = await ask(h, 'GET', path, { 'accept-encoding': 'gzip, br' })
    t.match(small.headers, { 'content-encoding': 'gzip', vary: /accept-encoding/, 'cache-control': 'public, max-age=600' })
    t.ok(small.text.length < plain.text.length)
    const { etag = '' } = small.headers
    const again = await ask(h, 'GET', path, { 'if-none-match': etag })
    t.match({ status: again.status, text: again.text }, { status: 304, text: '' })
    t.match(small.headers['content-security-policy'], /frame-ancestors 'none'/)
  }
  const without = await startHarness(t, { processor: null, env: { DOCS: 'off' } })
  for (const path of ['/docs', '/docs/', '/docs/openapi.json']) t.equal((await ask(without, 'GET', path)).status, 404, path)
  t.same(h.faults, [])
})

t.test('[DRAIN-4] a hub that closes answers in the shape of all errors', async (t) => {
  const h = await startHarness(t, { processor: null, env: { DRAIN_MS: '20000' } })
  const client = await h.connect(await h.submit())
  const closing = h.nodes[0]?.hub.server.close()
  for (const path of ['/livez', '/api/v2/runs', '/nowhere']) {
    const { status, headers, text } = await ask(h, 'GET', path)
    t.match({ status, headers, body: JSON.parse(text) }, { status: 503, headers: { 'retry-after': '1' }, body: { error: 'overloaded' } })
    t.notOk('statusCode' in JSON.parse(text), path)
  }
  client.terminate()
  await closing
})

/** Makes a server pass requests on, without the prefix of their paths. */
function proxyTo(t: Test, proxy: ReturnType<typeof createServer>, prefix: string, target: string): void {
  proxy.on('request', (incoming, outgoing) => {
    const passed = request(`${target}${incoming.url?.slice(prefix.length)}`, {
      method: incoming.method ?? 'GET',
      headers: incoming.headers,
    })
    passed.on('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(outgoing)
    })
    passed.on('error', (error) => t.fail(error))
    incoming.pipe(passed)
  })
}

t.test('[CODE-4] an answer has the id of its request', async (t) => {
  const h = await startHarness(t, { processor: null })
  const given = '0af7651916cd43dd8448eb211c80319c'
  for (const path of ['/api/processes/nobody', '/nowhere', '/livez']) {
    const answer = await h.call('GET', path, { headers: { 'x-request-id': given } })
    t.equal(answer.headers.get('x-request-id'), given, path)
    if (!answer.headers.get('content-type')?.includes('json') || answer.status === 200) continue
    t.equal(answer.body.request_id, given, path)
  }
  const problem = await h.call('GET', '/nowhere', { headers: { accept: 'application/problem+json' } })
  t.equal(problem.body.request_id, problem.headers.get('x-request-id'))
  for (const bad of ['short', 'with.dots.like.a.token', 'x'.repeat(65)]) {
    const { headers } = await h.call('GET', '/livez', { headers: { 'x-request-id': bad } })
    t.match(headers.get('x-request-id'), /^[0-9a-f-]{36}$/, bad)
  }
})

t.test('[OPS-4] the log says who did what, with the id of the request', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 1 })
  const lines: Record<string, unknown>[] = []
  const stream = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(JSON.parse(String(chunk)))) })
  const { log: logger } = Fastify({ logger: { level: 'info', stream } })
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const node = await buildHubNode(h.config, log, withBuiltIns([]), { prefix: '', logger })
  t.teardown(() => node.close())
  const http = await node.server.listen({ port: 0, host: '127.0.0.1' })
  const call = async (method: string, path: string, options: { token?: string; body?: object } = {}) => {
    const { token = h.token(), body } = options
    const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
    const response = await fetch(`${http}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    await response.body?.cancel()
    return response.headers.get('x-request-id')
  }
  const admin = h.token('root', { claims: { role: 'admin' } })
  const ids = [
    await call('POST', '/api/v2/runs', { body: { run_id: 'audited', input: HORN } }),
    await call('POST', '/api/processes/audited/cancel', { token: admin }),
    await call('POST', '/api/jobs/audited/retry'),
    await call('POST', '/api/v2/jobs/claim', { token: h.token('hand', { claims: { role: 'worker' } }), body: { kind: 'run', wait_s: 10 } }),
    await call('POST', '/api/revocations', { token: admin, body: { jti: 'lost' } }),
    await call('DELETE', '/api/revocations/jti:lost', { token: admin }),
  ]
  const socket = new TestClient(`${http.replace('http', 'ws')}/api/v2/ws/runs/audited`, { authorization: `Bearer ${h.token()}` })
  await socket.next('status')
  socket.send({ type: 'cancel' })
  await socket.next('cancel_accepted')
  ids.push(await call('DELETE', '/api/admin/sessions?user=alice', { token: admin }))
  await socket.closed
  const audited = lines.flatMap(({ audit, user, role, job, revocation, of, reqId }) =>
    audit ? [[audit, user, role, job ?? revocation ?? of, reqId]] : [],
  )
  t.same(audited.pop(), ['disconnect', 'root', 'admin', 'alice', ids[6]])
  t.match(audited.pop(), ['cancel', 'alice', 'user', 'audited', /^[0-9a-f-]{36}$/], 'over a socket')
  t.same(audited, [
    ['submit', 'alice', 'user', 'audited', ids[0]],
    ['cancel', 'root', 'admin', 'audited', ids[1]],
    ['retry', 'alice', 'user', 'audited', ids[2]],
    ['claim', 'hand', 'worker', 'audited', ids[3]],
    ['revoke', 'root', 'admin', 'jti:lost', ids[4]],
    ['undo_revocation', 'root', 'admin', 'jti:lost', ids[5]],
  ])
  t.notMatch(JSON.stringify(lines), /eyJ/, 'no token')
})
