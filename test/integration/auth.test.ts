import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, SECRET, startHarness } from '../support/harness.js'
import { testPort } from '../support/ports.js'
import { type RedisPlace, sharedTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'
import { badTokens, tokenOf } from '../support/tokens.js'

const AUTH_TIMEOUT_MS = 1000

t.test('with a hub that answers', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, {
    processor: stage.processor,
    env: { AUTH_TIMEOUT_MS: `${AUTH_TIMEOUT_MS}`, WORKER_CONCURRENCY: '8', EXPIRY_WARNING_MS: '500', EXPIRY_GRACE_MS: '1000' },
  })
  const id = await h.submit({ id: 'of-alice' })
  await stage.play(id)

  t.test('[CONN-1] the token comes in the query, as a header or in the first message', async (t) => {
    const byQuery = await h.connect(id)
    t.match(await byQuery.next(), { type: 'status', run_id: id, recovered: false })

    const byHeader = open(h, id, { authorization: `Bearer ${h.token()}` })
    t.match(await byHeader.next(), { type: 'status', run_id: id, recovered: false })

    const exp = Math.floor(Date.now() / 1000) + 60
    const byMessage = await h.connect(id, { token: null })
    byMessage.send({ type: 'auth', token: tokenOf({ sub: 'alice', exp }) })
    t.same(await byMessage.next(), { type: 'authenticated', expires_at: new Date(exp * 1000).toISOString() })
    t.match(await byMessage.next(), { type: 'status', run_id: id, recovered: false })

    await byMessage.silence(AUTH_TIMEOUT_MS * 1.2)
    for (const client of [byQuery, byHeader, byMessage]) {
      client.send({ type: 'ping' })
      t.same(await client.next(), { type: 'pong' }, 'whoever has said who they are is not timed out')
    }
  })

  t.test('[CONN-1] a socket that brings no token in time is closed, and tells nothing before', async (t) => {
    const begun = Date.now()
    const client = await h.connect(id, { token: null })
    client.send({ type: 'cancel' })
    t.match(await client.next(), { type: 'refused', request: 'cancel', code: 'unauthenticated' })
    t.match(await client.closed, { code: 4001, reason: /token/ })
    t.ok(Date.now() - begun >= AUTH_TIMEOUT_MS - 5, 'it got its time')
    t.equal(client.messages.length, 1, 'no word of the job')
  })

  t.test(
    '[CONN-2] [CONN-3] a token that is not HS256 with sub and exp: accepted first, then closed with 4001; REST answers 401',
    async (t) => {
      for (const [name, token] of Object.entries(badTokens())) {
        const reason = name === 'expired' ? 'The token has expired.' : /.+/
        const byQuery = await h.connect(id, { token })
        const byMessage = await h.connect(id, { token: null })
        byMessage.send({ type: 'auth', token })
        const byHeader = open(h, id, { authorization: `Bearer ${token}` })
        for (const [way, client] of Object.entries({ byQuery, byMessage, byHeader })) {
          t.match(await client.closed, { code: 4001, reason }, `${name}, ${way}`)
          t.same(client.texts, [], `${name}, ${way}: no word of the job`)
        }
        const answer = await h.call('GET', `/api/v2/runs/${id}`, { token })
        t.match(answer, { status: 401, body: { error: name === 'expired' ? 'expired' : 'unauthenticated', detail: [] } }, name)
        t.equal(answer.headers.get('www-authenticate'), 'Bearer')
      }
      const unsigned = await h.connect(id, { query: 'token=', token: null })
      t.match(await unsigned.closed, { code: 4001 }, 'an empty one')
      const noBearer = open(h, id, { authorization: `Basic ${h.token()}` })
      t.match(await noBearer.closed, { code: 4001 }, 'another scheme is no token')
      const none = { error: 'unauthenticated', message: /^No token: send the header/ }
      t.match(await h.call('GET', `/api/v2/runs/${id}`, { token: null }), { status: 401, body: none })
      t.match(await h.call('GET', `/api/v2/runs/${id}?token=${h.token()}`, { token: null }), { status: 200 }, 'REST takes the query, too')
    },
  )

  t.test('[CONN-3] whoever has no token is told only that, whatever else is wrong', async (t) => {
    const answers = [
      await h.call('POST', '/api/v2/runs', { token: null, body: { input: { nonsense: true } } }),
      await h.call('POST', '/api/v2/runs', { token: null, body: '{' }),
      await h.call('GET', '/api/v2/runs?limit=0', { token: null }),
      await h.call('GET', '/api/v2/runs/no-such-job', { token: null }),
      await h.call('GET', `/api/v2/runs/${id}/events?after=-1`, { token: null }),
      await h.call('POST', `/api/v2/runs/${id}/cancel`, { token: null }),
    ]
    for (const { status, body } of answers) t.match({ status, body }, { status: 401, body: { error: 'unauthenticated', detail: [] } })
  })

  t.test('[CONN-10] a live socket is told before its token runs out, and closed with 4001 when the grace is over', async (t) => {
    const exp = Math.floor(Date.now() / 1000) + 2
    const client = await h.connect(id, { token: tokenOf({ sub: 'alice', exp }) })
    t.match(await client.next(), { type: 'status' })
    t.same(await client.next(), { type: 'token_expiring', expires_at: new Date(exp * 1000).toISOString() })
    const toldAt = Date.now()
    t.ok(toldAt >= exp * 1000 - 505 && toldAt < exp * 1000 + 900, 'before the end, or within the grace on a busy machine')
    t.same(await client.closed, { code: 4001, reason: 'The token has expired.' })
    t.ok(Date.now() >= exp * 1000 + 995, 'not before the grace is over')
    t.equal(client.messages.length, 2, 'and nothing after')
  })

  t.test('[CONN-3] a token that is good for months opens a socket that stays', async (t) => {
    const months = Math.floor(Date.now() / 1000) + 90 * 24 * 3600
    for (const [exp, expires_at] of [
      [months, new Date(months * 1000).toISOString()],
      [8_640_000_000_000, '9999-12-31T23:59:59.999Z'],
    ] as const) {
      const client = await h.connect(id, { token: null })
      client.send({ type: 'auth', token: tokenOf({ sub: 'alice', exp }) })
      t.match(await client.next(), { type: 'authenticated', expires_at })
      t.match(await client.next(), { type: 'status' })
      await client.silence(50)
      client.send({ type: 'ping' })
      t.same(await client.next(), { type: 'pong' })
    }
  })

  t.test('[CONN-4] [JOB-3] no such job, the job of another, an id that is none: 4004, one like the other', async (t) => {
    const ids = ['no-such-job', id, '1234567890', '-begins-badly', 'a b', 'a/b', 'ü', 'x'.repeat(129), 'x'.repeat(2000), '.']
    for (const other of ids) {
      const client = await h.connect(other, { sub: 'bob' })
      t.same(await client.closed, { code: 4004, reason: 'There is no such job.' }, other.slice(0, 40))
      t.same(client.texts, [])
    }
    for (const path of ['%zz', '%ff', '%', '']) {
      const client = new TestClient(`${h.nodes[0]?.ws}/api/v2/ws/runs/${path}?token=${h.token()}`)
      t.same(await client.closed, { code: 4004, reason: 'There is no such job.' }, `path ${path}`)
    }
    const longest = await h.submit({ id: 'x'.repeat(128) })
    t.match(await (await h.connect(longest)).next(), { type: 'status', run_id: longest }, 'the longest id is one')
  })

  t.test('[JOB-3] [AUTH-5] an admin may watch the job of another, a worker none at all', async (t) => {
    const exp = Math.floor(Date.now() / 1000) + 60
    const admin = await h.connect(id, { token: tokenOf({ sub: 'carol', exp, role: 'admin' }) })
    t.match(await admin.next(), { type: 'status', run_id: id })
    const token = tokenOf({ sub: 'alice', exp, role: 'worker' })
    const reason = 'The role worker may only claim jobs.'
    t.same(await (await h.connect(id, { token })).closed, { code: 4003, reason }, 'of its own name neither')
    const tab = new TestClient(`${h.nodes[0]?.ws}/ws?token=${token}`)
    t.match(await tab.closed, { code: 4003 })
    const renewed = await h.connect(id)
    await renewed.next('status')
    renewed.send({ type: 'auth', token })
    t.match(await renewed.closed, { code: 4003 })
    const calls = [
      ['POST', '/api/v2/runs', { input: HORN }],
      ['POST', `/api/v2/runs/${id}/cancel`],
      ['GET', `/api/v2/runs/${id}`],
      ['GET', '/api/processes'],
      ['GET', '/api/models'],
      ['GET', '/api/revocations'],
    ] as const
    for (const [method, path, body] of calls)
      t.match(await h.call(method, path, { token, body }), { status: 403, body: { error: 'forbidden' } }, path)
  })

  t.test('[MSG-3] auth renews the token of a live socket, which then outlives the old one', async (t) => {
    const exp = Math.floor(Date.now() / 1000) + 2
    const client = await h.connect(id, { token: tokenOf({ sub: 'alice', exp }) })
    const neighbour = await h.connect(id, { token: tokenOf({ sub: 'alice', exp }) })
    await client.next('status')
    client.send({ type: 'auth', token: tokenOf({ sub: 'alice', exp: exp + 60 }) })
    t.same(await client.next(), { type: 'authenticated', expires_at: new Date((exp + 60) * 1000).toISOString() })
    t.match(await neighbour.closed, { code: 4001 }, 'the old token has run out')
    await client.silence(50)
    client.send({ type: 'ping' })
    t.same(await client.next(), { type: 'pong' })
    const { job } = await stage.play(id)
    job.metric('after_renewal', 1, '1')
    t.match(
      await client.next(),
      { type: 'metric_update', metric_name: 'after_renewal' },
      'and goes on with the job, without another snapshot',
    )
  })

  t.test('[MSG-3] a session stays with its user: another sub is closed with 4003, a bad token with 4001', async (t) => {
    const client = await h.connect(id)
    await client.next('status')
    client.send({ type: 'auth', token: h.token('bob') })
    t.match(await client.closed, { code: 4003 })
    const admin = await h.connect(id)
    await admin.next('status')
    admin.send({ type: 'auth', token: tokenOf({ sub: 'carol', role: 'admin', exp: Math.floor(Date.now() / 1000) + 60 }) })
    t.match(await admin.closed, { code: 4003 }, 'also of an admin')
    const broken = await h.connect(id)
    await broken.next('status')
    broken.send({ type: 'auth', token: `${h.token()}x` })
    t.match(await broken.closed, { code: 4001 })
  })

  t.test('[CONN-5] two auth messages at once open a job once', async (t) => {
    const client = await h.connect(id, { token: null })
    for (let i = 0; i < 3; i += 1) client.send({ type: 'auth', token: h.token() })
    await client.next('status')
    const { job } = await stage.play(id)
    job.metric('after_two_auths', 1, '1')
    await eventually(() => client.messages.some(({ metric_name }) => metric_name === 'after_two_auths'))
    await client.silence(50)
    t.equal(client.messages.filter(({ type }) => type === 'status').length, 1, 'one snapshot')
    t.equal(client.messages.filter(({ metric_name }) => metric_name === 'after_two_auths').length, 1, 'each entry once')
  })

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})

t.test('[CODE-2] no token and no secret appears in a log, at whatever level, nor in an error', async (t) => {
  const hub = await startHub(t, await sharedTestRedis())
  const live = Math.floor(Date.now() / 1000) + 60
  const good = tokenOf({ sub: 'alice', exp: live })
  const tokens = { good, ...badTokens() }
  const answers: string[] = []
  const call = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${hub.http}${path}`, init)
    answers.push(`${response.status} ${await response.text()}`)
  }
  const json = { 'content-type': 'application/json' }
  const submit = { method: 'POST', body: JSON.stringify({ run_id: 'logged', input: HORN }) }
  await call('/api/v2/runs', { ...submit, headers: { ...json, authorization: `Bearer ${good}` } })
  for (const token of Object.values(tokens)) {
    const headers = { authorization: `Bearer ${token}` }
    await call('/api/v2/runs/logged', { headers })
    for (const query of [`token=${token}`, `a=b&token=${token}&c`, `%74oken=${token}`, `TOKEN=${token}`])
      await call(`/api/v2/runs/logged?${query}`)
    await call(`/nowhere?token=${token}`)
    await call(`/api/v2/runs/%zz?token=${token}`)
    await call('/api/v2/runs', { method: 'POST', headers: { ...json, ...headers }, body: `{"run_id":"x","token":"${token}"}` })
    await call('/api/v2/runs', { method: 'POST', headers: { ...json, ...headers }, body: `{"token":"${token}"` })
    await call('/docs/', { headers })
    for (const path of [`logged?token=${token}`, `%zz?token=${token}`, `no-such-job?after=1&token=${token}`]) {
      const client = new TestClient(`${hub.ws}/api/v2/ws/runs/${path}`, headers)
      await client.opened
      client.send({ type: 'auth', token })
      client.send({ type: 'auth', tocken: token })
      client.send(`{"type":"auth","token":"${token}`)
      client.send({ type: 'ping' })
      await Promise.race([client.closed, client.next('pong')])
      client.terminate()
      answers.push(...client.texts, (await client.closed).reason)
    }
    await sendRaw(hub.port, `GET /livez?token=${token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nbroken header\r\n\r\n`)
    await sendRaw(hub.port, `GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
  }
  // As a careless proxy writes it: everything encoded once more.
  await call(`/api/v2/runs/logged%3Ftoken%3D${good}`)
  // A socket where there is none: the plugin for sockets logs the address of one that it does not know.
  await upgradeStatus(`${hub.ws}/livez?token=${good}`)
  const log = await hub.stop()

  t.match(log, '"route":"/api/v2/runs/:id"', 'requests were logged')
  t.match(log, '"msg":"malformed request"', 'at level debug')
  const rawPackets = (token: string) => [...Buffer.from(token.slice(-20))].join()
  for (const [name, token] of Object.entries(tokens)) {
    const [, payload = token, signature = token] = token.split('.')
    const traces = [token, payload, signature, rawPackets(token)].filter((trace) => trace.length > 4)
    for (const trace of traces) t.notOk(log.includes(trace) || answers.some((answer) => answer.includes(trace)), `${name}: ${trace}`)
  }
  t.notOk(log.includes(SECRET))
})

/** How a hub answers an upgrade. */
async function upgradeStatus(url: string): Promise<number> {
  const socket = new WebSocket(url)
  socket.on('error', () => {})
  const [response] = await Promise.race([once(socket, 'unexpected-response').then(([, response]) => [response]), once(socket, 'upgrade')])
  socket.terminate()
  return response.statusCode
}

function open(h: Harness, id: string, headers: Record<string, string>): TestClient {
  const client = new TestClient(`${h.nodes[0]?.ws}/api/v2/ws/runs/${id}`, headers)
  h.onTeardown(() => client.terminate())
  return client
}

/** A hub process that logs everything. `stop` ends it and answers all that it wrote. */
async function startHub(t: Test, redis: RedisPlace) {
  const port = await testPort()
  const env = {
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    JWT_SECRET: SECRET,
    PORT: `${port}`,
    LOG_LEVEL: 'trace',
    PATH: process.env.PATH,
  }
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/main.js', import.meta.url))], { env, stdio: 'pipe' })
  t.teardown(() => child.kill('SIGKILL'))
  const written = Promise.all([text(child.stdout), text(child.stderr)])
  const exited = once(child, 'exit')
  const http = `http://127.0.0.1:${port}`
  await eventually(() => fetch(`${http}/readyz`).then(({ ok }) => ok), { timeoutMs: 60_000 })
  const stop = async () => {
    child.kill('SIGTERM')
    const [code] = await exited
    t.equal(code, 0)
    return (await written).join('\n')
  }
  return { http, ws: `ws://127.0.0.1:${port}`, port, stop }
}

async function sendRaw(port: number, bytes: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.end(bytes)
  await text(socket).catch(() => '')
}
