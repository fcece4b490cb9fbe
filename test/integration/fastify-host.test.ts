import Fastify, { type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { type RuncastPluginOptions, runcast } from '../../src/app/fastify-plugin.js'
import { watchProcesses } from '../../src/client/index.js'
import type { LoggedIn } from '../../src/http/plugins/login.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { eventually } from '../support/eventually.js'
import { HORN, SECRET, startHarness } from '../support/harness.js'
import { type Host, loginOf, PREFIX, type SocketPlugin, sendRaw, startFastifyHost, upgradeStatus } from '../support/hosts.js'
import { SseClient } from '../support/sse-client.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'

const ALICE = { cookie: 'session=of-alice' }

/** What a page of the host sends with a write. */
function ofPage(origin: string): Record<string, string> {
  return { ...ALICE, origin, 'content-type': 'application/json' }
}

async function answerOf(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init)
  const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'))
  return { status: response.status, headers, body: await response.text() }
}

function chat(host: Host): TestClient {
  return new TestClient(`${host.origin.replace('http', 'ws')}/chat`)
}

t.test('[HOST-1] own routes of a host answer as without the hub, whatever its WebSocket plugin', async (t) => {
  const h = await startHarness(t, { processor: null })
  const json = { 'content-type': 'application/json' }
  const requests: [path: string, init?: RequestInit][] = [
    ['/own?a=1'],
    ['/own', { method: 'HEAD' }],
    ['/own', { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'a,b' }],
    ['/own', { method: 'POST', headers: json, body: '{"a":1}' }],
    ['/own', { method: 'POST', headers: json, body: '{' }],
    ['/own', { method: 'POST', headers: { 'content-type': 'application/x-other' }, body: 'x' }],
    ['/own/fault'],
    ['/own', { method: 'OPTIONS', headers: { origin: 'https://own.example', 'access-control-request-method': 'POST' } }],
    ['/own', { headers: { origin: 'https://own.example' } }],
    ['/nothing'],
    ['/api/v2/runs'],
    [`${PREFIX}-not`],
    ['/', { method: 'DELETE' }],
  ]
  const upgrade = (body: string) =>
    `POST /own HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nContent-Type: text/csv\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  for (const sockets of ['none', 'before', 'after', 'scope'] satisfies SocketPlugin[]) {
    const host = await startFastifyHost(t, h, { sockets })
    const twin = await startFastifyHost(t, h, { sockets, hasHub: false })
    for (const [path, init] of sockets === 'scope' || sockets === 'after' ? [] : requests) {
      t.same(await answerOf(`${host.origin}${path}`, init), await answerOf(`${twin.origin}${path}`, init), `${sockets}: ${path}`)
    }
    if (sockets === 'none') {
      const [answer, expected] = [await sendRaw(host.origin, upgrade('a,b')), await sendRaw(twin.origin, upgrade('a,b'))]
      t.equal(answer.replace(/\r\ndate:.*?\r\n/i, '\r\n'), expected.replace(/\r\ndate:.*?\r\n/i, '\r\n'), 'an upgrade that nobody takes')
      t.match(answer, '{"body":["a","b"]}')
    } else {
      const client = chat(host)
      await client.opened
      client.send('hello')
      t.same(await client.next(), { own: 'hello' }, sockets)
      await client.close()
    }
    const socket = new TestClient(`${host.hub.replace('http', 'ws')}/ws`, ALICE)
    t.match(await socket.next(), { type: 'process_list' }, sockets)
    socket.terminate()
  }
  t.same(h.faults, [])
})

t.test('[HOST-1] another spelling of the prefix is a path of the host; a whole URL is not', async (t) => {
  const h = await startHarness(t, { processor: null })
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  const json = 'Connection: close, Upgrade\r\nUpgrade: h2c\r\nContent-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n'
  const body = JSON.stringify({ input: HORN })
  const server = { routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } }
  for (const sockets of ['none', 'before'] satisfies SocketPlugin[]) {
    const host = await startFastifyHost(t, h, { sockets, server })
    const ask = (line: string, headers: string, body = '') =>
      sendRaw(host.origin, `${line} HTTP/1.1\r\nHost: ${new URL(host.origin).host}\r\nCookie: ${ALICE.cookie}\r\n${headers}\r\n${body}`)
    for (const path of ['/%72uns/ws', '/RUNS/ws', '//runs/ws', '/runsX/ws', '/runs%2fws', '/x/../runs/ws']) {
      t.match(await ask(`GET ${path}`, 'Connection: close\r\n'), /404 Not Found.*own 404/s, `${sockets}: ${path}`)
      const answer = ask(`GET ${path}`, upgrade.replace('Upgrade\r\n', `Upgrade${sockets === 'none' ? ', close' : ''}\r\n`))
      t.match(await answer, /404 Not Found.*own 404/s, `${sockets}: upgrade of ${path}`)
    }
    t.match(await ask('GET http://any/runs/api/v2/runs', 'Connection: close\r\n'), '200 OK')
    t.match(await ask('POST /runs/api/v2/runs', `${json}Content-Length: ${body.length}\r\n`, body), '202 Accepted', 'an offer of HTTP/2')
  }
  t.same(h.faults, [])
})

t.test('[HOST-1] [HOST-2] REST, streams, sockets, docs and errors below a prefix, by a login', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const host = await startFastifyHost(t, h, { docs: true })
  const headers = ofPage(host.origin)
  const submitted = await fetch(`${host.hub}/api/v2/runs`, { method: 'POST', headers, body: JSON.stringify({ input: HORN }) })
  t.equal(submitted.status, 202)
  t.equal(submitted.headers.get('x-host'), null, 'an answer of the hub has no header of the host')
  const { run_id: id, links } = (await submitted.json()) as { run_id: string; links: Record<string, string> }
  t.equal(submitted.headers.get('location'), `${PREFIX}/api/v2/runs/${id}`)
  for (const link of Object.values(links)) t.ok(link.startsWith(`${PREFIX}/`), link)
  t.equal((await fetch(`${host.origin}${links.self}`, { headers: ALICE })).status, 200)
  t.equal((await fetch(`${host.origin}${links.self}`, { headers: { cookie: 'session=of-bob' } })).status, 404, 'of another user')
  t.equal((await fetch(`${host.origin}${links.self}`, { headers: { cookie: 'session=of-root' } })).status, 200, 'of an admin')

  const client = new TestClient(`${host.origin.replace('http', 'ws')}${links.socket}`, { ...ALICE, origin: host.origin })
  t.match(await client.next(), { type: 'status', run_id: id })
  const stream = new SseClient(`${host.origin}${links.events}`, { headers: ALICE })
  t.match(await stream.next(), { type: 'status', run_id: id })
  const play = await stage.play(id)
  play.job.metric('f', 1, 'Hz')
  play.complete()
  t.match(await stream.next('completed'), { run_id: id })
  stream.terminate()
  t.match(await client.next('completed'), { run_id: id })

  const unknown = await answerOf(`${host.hub}/api/v2/nothing`)
  t.match(unknown, { status: 404, headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' } })
  t.match(JSON.parse(unknown.body), { error: 'no_route' })
  t.match(await answerOf(`${host.hub}/api/v2/runs`, { method: 'DELETE', headers }), { status: 405, headers: { allow: 'GET, HEAD, POST' } })
  const faulty = await answerOf(`${host.hub}/api/v2/runs`, { method: 'POST', headers, body: '{"input":' })
  t.match(JSON.parse(faulty.body), { error: 'bad_request' })
  const stranger = await answerOf(`${host.hub}/api/v2/runs`)
  t.match(stranger, { status: 401 })
  t.equal((await fetch(`${host.hub}/readyz`)).status, 200)

  const docs = await fetch(`${host.hub}/docs`, { redirect: 'manual' })
  t.equal(docs.headers.get('location'), `${PREFIX}/docs/`)
  t.match(await (await fetch(`${host.hub}/docs/`)).text(), 'openapi.json')
  const api = (await (await fetch(`${host.hub}/docs/openapi.json`)).json()) as { servers: object[] }
  t.same(api.servers, [{ url: PREFIX }])
  t.same(h.faults, [])
})

t.test('[HOST-3] no page of another origin connects, reads or writes unless listed', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startFastifyHost(t, h, { allowedOrigins: ['https://listed.example'] })
  const headers = ofPage(host.origin)
  const id = await h.submit()
  const cancel = `${host.hub}/api/v2/runs/${id}/cancel`
  const statusOf = async (url: string, method: string, given: Record<string, string>) => {
    return (await fetch(url, { method, headers: { ...ALICE, ...given } })).status
  }
  const other: Record<string, string>[] = [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: host.origin.replace('http', 'https') },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]
  for (const given of other) {
    t.equal(await statusOf(cancel, 'POST', given), 403, `POST ${JSON.stringify(given)}`)
    t.equal(await statusOf(`${host.hub}/api/v2/runs`, 'GET', given), 403, `GET ${JSON.stringify(given)}`)
    const socket = new TestClient(`${host.hub.replace('http', 'ws')}/ws`, { ...ALICE, ...given })
    t.match(await upgradeStatus(socket), 403, `upgrade ${JSON.stringify(given)}`)
  }
  const blocked = await fetch(`${host.hub}/api/v2/runs`, { headers: { ...ALICE, origin: 'https://evil.example' } })
  t.equal(blocked.headers.get('access-control-allow-origin'), null)
  t.equal(await statusOf(cancel, 'POST', {}), 403, 'a write that does not say whose page it is of')
  t.equal(await statusOf(cancel, 'POST', { 'sec-fetch-site': 'none' }), 403)
  const unsaid = await answerOf(cancel, { method: 'POST', headers: ALICE })
  t.match(JSON.parse(unsaid.body), { message: 'The header Origin is missing: with a cookie, it must be the origin of this server.' })
  t.equal(await statusOf(`${host.hub}/api/v2/runs`, 'GET', {}), 200, 'a program that reads')
  t.equal(await statusOf(`${host.hub}/api/v2/runs`, 'GET', { 'sec-fetch-site': 'same-origin' }), 200)
  t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'queued', 'nothing was cancelled')

  const listed = await fetch(`${host.hub}/api/v2/runs`, { headers: { ...ALICE, origin: 'https://listed.example' } })
  t.equal(listed.headers.get('access-control-allow-origin'), 'https://listed.example')
  t.equal(listed.headers.get('access-control-allow-credentials'), 'true')
  const preflight = await fetch(cancel, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://listed.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    },
  })
  t.equal(preflight.status, 204, 'the hub answers, not the CORS plugin of the host')
  t.equal(preflight.headers.get('access-control-allow-origin'), 'https://listed.example')
  for (const origin of [host.origin, 'https://listed.example']) {
    const socket = new TestClient(`${host.hub.replace('http', 'ws')}/ws`, { ...ALICE, origin })
    t.match(await socket.next(), { type: 'process_list' }, origin)
    socket.terminate()
  }
  t.equal(await statusOf(cancel, 'POST', { 'sec-fetch-site': 'same-origin' }), 202)
  const body = JSON.stringify({ input: HORN })
  t.equal((await fetch(`${host.hub}/api/v2/runs`, { method: 'POST', headers, body })).status, 202)
  t.same(h.faults, [])
})

t.test('[HOST-2] a login that says null, throws or is wrong lets nobody in; a worker claims', async (t) => {
  const h = await startHarness(t, { processor: null })
  const answers: Record<string, () => unknown> = {
    none: () => null,
    fails: () => Promise.reject(new Error('the session store is away')),
    over: () => ({ sub: 'alice', role: 'user', expiresAt: new Date(Date.now() - 1000) }),
    wrong: () => ({ sub: 'alice', role: 'emperor' }),
    later: () => {
      throw new RuncastError('overloaded', 'The session store is away.')
    },
    worker: () => ({ sub: 'w1', role: 'worker' }),
  }
  const host = await startFastifyHost(t, h, {
    authenticate: (request) => answers[request.cookies.session ?? 'none']?.() as LoggedIn, // some are wrong
  })
  const expected = { none: [401, 4001], fails: [401, 4001], over: [401, 4001], wrong: [500, 1011], later: [503, 1013], worker: [403, 4003] }
  for (const [session, [status, code]] of Object.entries(expected)) {
    const headers = { cookie: `session=${session}` }
    t.equal((await fetch(`${host.hub}/api/v2/runs`, { headers })).status, status, session)
    const client = new TestClient(`${host.hub.replace('http', 'ws')}/ws`, headers)
    t.equal((await client.closed).code, code, session)
  }
  const claim = await fetch(`${host.hub}/api/v2/jobs/claim`, {
    method: 'POST',
    headers: { cookie: 'session=worker', 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'run' }),
  })
  t.equal(claim.status, 204)
  const bearer = await fetch(`${host.hub}/api/v2/jobs/claim`, {
    method: 'POST',
    headers: { cookie: 'session=worker', authorization: 'Bearer any', 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'run' }),
  })
  t.equal(bearer.status, 204, 'a program that sends a header which no browser adds by itself')
})

t.test('[HOST-2] a login that does not answer is 503 and 1013 in time', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startFastifyHost(t, h, { authenticate: () => new Promise(() => {}), authTimeoutMs: 100 })
  const answer = await fetch(`${host.hub}/api/v2/runs`)
  t.match([answer.status, await answer.json()], [503, { error: 'overloaded' }])
  t.match(await new TestClient(`${host.hub.replace('http', 'ws')}/ws`).closed, { code: 1013 })
  t.match(host.warnings.at(-1), { msg: /^authenticate did not answer in time/ })
})

t.test('[HOST-3] the own origin is the same with the port that a proxy adds to Host', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startFastifyHost(t, h, { server: { trustProxy: '127.0.0.1' } })
  const statusOf = async (proto: string, name: string, origin: string) => {
    const headers = { ...ALICE, origin, 'x-forwarded-proto': proto, 'x-forwarded-host': name }
    return (await fetch(`${host.hub}/api/v2/runs`, { headers })).status
  }
  t.equal(await statusOf('https', 'app.example:443', 'https://app.example'), 200)
  t.equal(await statusOf('http', 'App.example:80', 'http://app.example'), 200)
  for (const [proto, name, origin] of [
    ['https', 'app.example:80', 'https://app.example'],
    ['http', 'app.example:443', 'https://app.example'],
    ['https', 'app.example', 'https://app.example.'],
    ['https', 'app.example', 'https://u@app.example'],
    ['https', 'app.example', 'https://app.example/'],
    ['https', 'app.example', 'HTTPS://app.example'],
    ['data', 'app.example', 'null'],
    ['https', '', 'null'],
  ] as const)
    t.equal(await statusOf(proto, name, origin), 403, `${origin} at ${proto} ${name}`)
})

t.test('[HOST-4] a session without expiresAt ends, and the next one asks the login', async (t) => {
  const h = await startHarness(t, { processor: null })
  let asked = 0
  const authenticate = (): LoggedIn | null => {
    asked += 1
    return asked < 3 ? { sub: 'alice', role: 'user' } : null
  }
  const host = await startFastifyHost(t, h, { authenticate, sessionMs: 300 })
  const socket = () => new TestClient(`${host.hub.replace('http', 'ws')}/ws`, ALICE)
  const begun = performance.now()
  const [first, second] = [socket(), socket()]
  await Promise.all([first.next('process_list'), second.next('process_list')])
  for (const client of [first, second]) t.match(await client.closed, { code: 4001 })
  t.ok(performance.now() - begun >= 300)
  t.match(await socket().closed, { code: 4001 }, 'the login is gone')
  t.equal(asked, 3)
})

t.test('[HOST-4] a client without a token asks again with its cookie and goes on', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startFastifyHost(t, h, { sessionMs: 300 })
  class WithCookie extends WebSocket {
    constructor(url: string) {
      super(url, { headers: ALICE })
    }
  }
  const watch = watchProcesses({ url: `${host.hub}/ws`, WebSocket: WithCookie, backoffMs: { first: 1, longest: 1 } })
  t.teardown(() => watch.close())
  const states: string[] = []
  watch.subscribe(() => states.at(-1) !== watch.state.status && states.push(watch.state.status))
  await eventually(() => states.filter((status) => status === 'online').length === 3)
  t.same(states.slice(0, 5), ['online', 'reconnecting', 'online', 'reconnecting', 'online'])
})

t.test('[HOST-5] a host that closes moves the clients, and each has the end of its job', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const host = await startFastifyHost(t, h, { drainMs: 2000, drainMinMs: 0 })
  const id = await h.submit()
  const play = await stage.play(id)
  const ws = host.hub.replace('http', 'ws')
  const [leaving, staying] = [0, 1].map(() => new TestClient(`${ws}/api/v2/ws/runs/${id}`, ALICE)) as [TestClient, TestClient]
  for (const client of [leaving, staying]) await client.next('status')
  const closed = host.app.close()
  for (const client of [leaving, staying]) t.match(await client.next('drain'), { deadline_ms: 2000 })
  play.complete()
  for (const client of [leaving, staying]) await client.next('completed')
  await leaving.close()
  t.match(await staying.closed, { code: 1012 })
  await closed
  await t.rejects(fetch(`${host.hub}/livez`), 'the server is closed')
  t.same(h.faults, [])
})

t.test('the log of a host names the settings that leave limits of the hub open', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startFastifyHost(t, h, { server: { connectionTimeout: 1000, requestTimeout: 5000, trustProxy: true } })
  const settings = () => host.warnings.map((line) => 'setting' in line && line.setting)
  t.same(settings(), ['http.headersTimeout', 'requestTimeout', 'connectionTimeout', 'server.maxConnections'])
  await fetch(`${host.hub}/livez`)
  t.equal(settings().at(-1), 'trustProxy')
  const fine = await startFastifyHost(t, h, {
    server: { http: { headersTimeout: 5000 }, trustProxy: '127.0.0.1' } as FastifyServerOptions,
    maxConnections: 100,
  })
  await fetch(`${fine.hub}/livez`, { headers: { 'x-forwarded-for': '192.0.2.7' } })
  t.same(fine.warnings, [])
  const hidden = await startFastifyHost(t, h)
  for (let i = 0; i < 2; i += 1) await fetch(`${hidden.hub}/livez`, { headers: { 'x-forwarded-for': '192.0.2.7' } })
  t.equal(hidden.warnings.filter((line) => 'setting' in line && line.setting === 'trustProxy').length, 1, 'a proxy that is not trusted')
})

t.test('options that are wrong or unknown are refused at registration', async (t) => {
  const redis = { url: 'redis://127.0.0.1:1' }
  const register = async (options: object, server = {}) => {
    const app = Fastify(server)
    t.teardown(() => app.close())
    await app.register(runcast, options as RuncastPluginOptions) // some are wrong
  }
  const login = { redis, authenticate: loginOf }
  const fault = (path: string) => ({ code: 'invalid', issues: [{ path }] })
  await t.rejects(register(login), fault('/prefix'))
  for (const prefix of ['/', '/runs/', '/:tenant', '/runs*', '/a/../runs', '/r%75ns', '/a b'])
    await t.rejects(register({ prefix, ...login }), fault('/prefix'), prefix)
  await t.rejects(register({ prefix: '/runs', ...login, limit: 1 }), fault('/limit'))
  await t.rejects(register({ prefix: '/runs', ...login, limits: { maxFun: 1 } }), fault('/limits/maxFun'))
  await t.rejects(register({ prefix: '/runs', ...login, sessionMs: 0 }), fault('/sessionMs'))
  await t.rejects(register({ prefix: '/runs', ...login, metricsPort: 9000 }), fault('/metricsPort'))
  await t.rejects(register({ prefix: '/runs', ...login, auth: { jwtSecret: SECRET } }), fault('/auth'))
  await t.rejects(register({ prefix: '/runs', redis }), fault('/authenticate'), 'neither a login nor a key of tokens')
  await t.rejects(register({ prefix: '/runs', ...login }, { http2: true }), /HTTP\/2/)
  await t.rejects(register({ prefix: '/runs', ...login }), { code: 'overloaded' })
})
