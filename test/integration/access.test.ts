import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { Claimant, workerToken } from '../support/claimant.js'
import type { OpenApi } from '../support/contract.js'
import { eventually } from '../support/eventually.js'
import { type Answer, type Harness, HORN, startHarness } from '../support/harness.js'
import { TWO_OBJECTIVES } from '../support/optimizations.js'
import { SseClient } from '../support/sse-client.js'
import { TestClient } from '../support/test-client.js'
import { tokenOf } from '../support/tokens.js'

const SECOND = { timeoutMs: 1000, everyMs: 5 }
const now = () => Math.floor(Date.now() / 1000)

function token(claims: object = {}): string {
  return tokenOf({ sub: 'alice', iat: now() - 60, exp: now() + 600, ...claims })
}

const admin = token({ sub: 'root', role: 'admin' })

/** What a node answers to an upgrade: 101 with a socket that stays open until the teardown, or a plain HTTP answer. */
async function upgrade(
  t: Test,
  h: Harness,
  { node = 0, path = '/api/v2/ws/runs/x' } = {},
): Promise<{ status: number; headers: IncomingMessage['headers']; text: string }> {
  const socket = new WebSocket(`${h.nodes[node]?.ws}${path}`)
  socket.on('error', () => {})
  t.teardown(() => socket.terminate())
  const opened = once(socket, 'upgrade').then(([response]: IncomingMessage[]) => ({ response, text: '' }))
  const refused = once(socket, 'unexpected-response').then(async ([, response]) => {
    let text = ''
    for await (const chunk of response) text += chunk
    return { response, text }
  })
  const { response, text } = await Promise.race([opened, refused])
  return { status: response?.statusCode ?? 0, headers: response?.headers ?? {}, text }
}

/** A WebSocket by hand, after its handshake. */
async function rawSocket(t: Test, h: Harness, path: string): Promise<{ socket: Socket }> {
  const { hostname, port } = new URL(h.nodes[0]?.http ?? '')
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  )
  await once(socket, 'data')
  return { socket }
}

t.test('[REV-5] POST /api/revocations is for admins, and says what it has done', async (t) => {
  const h = await startHarness(t, { processor: null })
  const revoke = (body: unknown, by: string | null = admin) => h.call('POST', '/api/revocations', { body, token: by })
  t.match(await revoke({ jti: 'j' }, null), { status: 401, body: { error: 'unauthenticated' } })
  for (const role of ['user', 'worker']) {
    t.match(await revoke({ jti: 'j' }, token({ role })), { status: 403, body: { error: 'forbidden' } }, role)
    t.match(await revoke({ nonsense: 1 }, token({ role })), { status: 403, body: { error: 'forbidden' } }, `${role}, whatever is asked for`)
  }

  const expires_at = new Date(Date.now() + 600_000).toISOString()
  t.match(await revoke({ jti: 'j', expires_at }), { status: 202, body: { jti: 'j', expires_at } })
  const issued_before = '2026-01-01T00:00:00.500Z'
  t.match(await revoke({ sub: 'bob', issued_before: '2026-01-01T01:00:00.5+01:00', expires_at }), {
    status: 202,
    body: { sub: 'bob', issued_before, expires_at },
  })
  const begun = Date.now()
  const { body } = await revoke({ sub: 'bob' })
  t.ok(Date.parse(body.issued_before) >= begun && Date.parse(body.issued_before) <= Date.now(), 'now, where nothing is said')
  t.equal(Date.parse(body.expires_at) - Date.parse(body.issued_before), h.config.REVOCATION_TTL_MS)

  const wrong: [body: unknown, path?: string][] = [
    [{}],
    [{ jti: 'j', sub: 'alice' }],
    [{ jti: '' }, '/jti'],
    [{ sub: 'x'.repeat(257) }, '/sub'],
    [{ sub: 'al\ud800ice' }, '/sub'],
    [{ jti: '\udc00' }, '/jti'],
    [{ jti: 5 }, '/jti'],
    [{ jti: 'j', token: 'x' }, '/token'],
    [{ jti: 'j', issued_before }, '/issued_before'],
    [{ sub: 'alice', issued_before: 'yesterday' }, '/issued_before'],
    [{ sub: 'alice', issued_before: '2026-01-01T00:00:00' }, '/issued_before'],
    [{ sub: 'alice', issued_before: '1969-01-01T00:00:00Z' }, '/issued_before'],
    [{ jti: 'j', expires_at: '2026-13-01T00:00:00Z' }, '/expires_at'],
    [{ jti: 'j', expires_at: 1_800_000_000 }, '/expires_at'],
    [{ jti: 'j', expires_at: new Date(Date.now() - 1).toISOString() }, '/expires_at'],
    [{ sub: 'alice', expires_at: '2026-01-01T00:00:00Z' }, '/expires_at'],
  ]
  for (const [body, path] of wrong) {
    const answer = await revoke(body)
    t.match(answer, { status: 422, body: { error: 'invalid' } }, JSON.stringify(body))
    if (path !== undefined) t.equal(answer.body.detail[0]?.path, path)
  }
  t.same(h.faults, [])
})

t.test('[REV-1] [REV-2] [REV-3] a revoked token is refused by every node within a second, others of its user are not', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  const revoke = async (body: object) => t.equal((await h.call('POST', '/api/revocations', { body, token: admin })).status, 202)
  const ask = (bearer: string, node: number) => h.call('GET', '/api/v2/runs', { token: bearer, node })
  const REVOKED = { status: 401, body: { error: 'unauthenticated', message: 'The token has been revoked.' } }
  const [one, two, old, bob] = [token({ jti: '1' }), token({ jti: '2' }), token({ iat: undefined }), token({ sub: 'bob' })]
  for (const node of [0, 1]) for (const bearer of [one, two, old, bob]) t.match(await ask(bearer, node), { status: 200 })

  await revoke({ jti: '1', expires_at: new Date(Date.now() + 600_000).toISOString() })
  t.match(await ask(one, 0), REVOKED, 'at once where it was asked for')
  await eventually(async () => (await ask(one, 1)).status === 401, SECOND)
  t.match(await ask(one, 1), REVOKED)
  const socket = await h.connect('any', { node: 1, token: one })
  t.same(await socket.closed, { code: 4001, reason: 'The token has been revoked.' })
  for (const node of [0, 1]) for (const bearer of [two, old, bob]) t.match(await ask(bearer, node), { status: 200 }, 'the others are good')

  await revoke({ sub: 'alice' })
  const renewed = token({ iat: now() })
  for (const node of [0, 1]) {
    await eventually(async () => (await ask(two, node)).status === 401, SECOND)
    t.match(await ask(two, node), REVOKED)
    t.match(await ask(old, node), REVOKED, 'one that does not say when it was issued is older than any moment')
    t.match(await ask(renewed, node), { status: 200 }, 'one that was issued in the same second or after it is good')
    t.match(await ask(bob, node), { status: 200 })
  }
  t.same(h.faults, [])
})

t.test('[REV-6] revocations are listed page by page, and undone on every node within a second; both for admins', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  const as = (bearer: string) => ({ token: bearer, node: 1 })
  const revoke = (body: object) => h.call('POST', '/api/revocations', { body, token: admin })
  const mallory = {
    sub: 'mallory/ü ?',
    issued_before: '2026-01-01T00:00:00.500Z',
    expires_at: new Date(Date.now() + 600_000).toISOString(),
  }
  for (const body of [{ jti: '1' }, { jti: '2' }, { sub: 'alice' }, mallory]) t.equal((await revoke(body)).status, 202)
  const listed = (query: string) => h.call('GET', `/api/revocations?${query}`, as(admin)).then(({ body }) => body)
  const ids = ({ revocations }: Awaited<ReturnType<typeof listed>>) => revocations.map(({ id }: { id: string }) => id)
  await eventually(async () => (await listed('')).revocations.length === 4, SECOND)
  const first = await listed('limit=3')
  t.same(ids(first).slice(0, 2), ['sub:mallory/ü ?', 'sub:alice'], 'the newest first')
  t.match(first.revocations[0], { ...mallory, revoked_at: String })
  const second = await listed(`limit=3&cursor=${first.cursor}`)
  t.same([...ids(first), ...ids(second)].toSorted(), ['jti:1', 'jti:2', 'sub:alice', 'sub:mallory/ü ?'])
  t.equal(second.cursor, null)

  const alice = token()
  await eventually(async () => (await h.call('GET', '/api/v2/runs', as(alice))).status === 401, SECOND)
  const path = `/api/revocations/${encodeURIComponent('sub:alice')}`
  for (const [method, at] of [['GET', '/api/revocations'], ['DELETE', path]] as const) // biome-ignore format: a table
    t.match(await h.call(method, at, as(token({ sub: 'bob' }))), { status: 403 }, method)
  t.equal((await h.call('DELETE', path, { token: admin })).status, 204)
  t.equal((await h.call('GET', '/api/v2/runs', { token: alice })).status, 200, 'at once where it was asked for')
  await eventually(async () => (await h.call('GET', '/api/v2/runs', as(alice))).status === 200, SECOND)
  t.match(await h.call('DELETE', path, { token: admin }), { status: 404, body: { message: 'There is no such revocation.' } })
  t.equal((await listed('')).revocations.length, 3)
  t.match(await h.call('GET', '/api/revocations?cursor=x', { token: admin }), { status: 422, body: { detail: [{ path: '/cursor' }] } })
  t.same(h.faults, [])
})

t.test(
  '[LIMIT-2] a full node answers an upgrade with 503 and Retry-After, and takes one again when there is room; REST goes on',
  async (t) => {
    const h = await startHarness(t, { processor: null, nodes: 2, env: { MAX_SOCKETS: '5' } })
    const answers = await Promise.all(Array.from({ length: 12 }, () => upgrade(t, h)))
    t.equal(answers.filter(({ status }) => status === 101).length, 5, 'exactly as many as there is room for')
    const refused = answers.filter(({ status }) => status !== 101)
    for (const { status, headers, text } of refused) {
      t.match(
        { status, headers, body: JSON.parse(text) },
        { status: 503, headers: { 'retry-after': '5' }, body: { error: 'overloaded', detail: [] } },
      )
    }
    const connections = () =>
      new Promise<number>((resolve) => h.nodes[0]?.hub.server.server.getConnections((_error, count) => resolve(count)))
    await eventually(async () => (await connections()) === 5)
    t.equal((await upgrade(t, h, { node: 1 })).status, 101, 'another node has room')
    t.equal((await h.call('GET', '/api/v2/runs')).status, 200)
    const [session] = h.nodes[0]?.hub.server.sessions ?? []
    session?.close('restart')
    await eventually(async () => (await upgrade(t, h)).status === 101)
    t.same(h.faults, [])
  },
)

t.test('[LIMIT-3] an address that comes too often gets 503 and Retry-After, also where there is no such route', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_UPGRADES_PER_SECOND: '3', TRUSTED_PROXIES: '127.0.0.1' } })
  const burst = await Promise.all(Array.from({ length: 20 }, () => upgrade(t, h)))
  const refused = burst.filter(({ status }) => status === 503)
  t.ok(refused.length >= 10, `${refused.length} of 20 were refused`)
  for (const { headers, text } of refused)
    t.match({ headers, body: JSON.parse(text) }, { headers: { 'retry-after': '1' }, body: { error: 'overloaded' } })
  const elsewhere = await Promise.all(Array.from({ length: 20 }, () => upgrade(t, h, { path: '/nowhere' })))
  t.ok(elsewhere.some(({ status }) => status === 503))
  t.equal((await h.call('GET', '/livez', { token: null })).status, 200, 'what is no upgrade is not counted')
  await eventually(async () => (await upgrade(t, h)).status === 101)

  const other = new WebSocket(`${h.nodes[0]?.ws}/api/v2/ws/runs/x`, { headers: { 'x-forwarded-for': '203.0.113.7' } })
  t.teardown(() => other.terminate())
  await once(other, 'upgrade')
  t.pass('behind a trusted proxy it is the client’s address that counts')
})

t.test('[LIMIT-7] a user, or an address without a token, that asks too often gets 429', async (t) => {
  const env = { MAX_REQUESTS_PER_SECOND: '3', MAX_STRANGER_REQUESTS_PER_SECOND: '3', TRUSTED_PROXIES: '127.0.0.1' }
  const h = await startHarness(t, { processor: null, nodes: 2, env })
  const burst = (path: string, options: object = {}) => Promise.all(Array.from({ length: 20 }, () => h.call('GET', path, options)))
  const limited = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 429)
  const refused = limited(await burst('/api/v2/runs'))
  t.ok(refused.length >= 10, `${refused.length} of 20 were refused`)
  for (const answer of refused) {
    t.match(answer.body, { error: 'rate_limited' })
    t.equal(answer.headers.get('retry-after'), '1')
  }
  t.equal((await h.call('GET', '/api/v2/runs', { sub: 'bob' })).status, 200, 'another user')
  t.equal((await h.call('GET', '/api/v2/runs', { node: 1 })).status, 200, 'another node')
  for (const [path, status] of [
    ['/api/v2/runs', 401],
    ['/nowhere', 404],
  ] as const) {
    const from = (address: string) => ({ token: null, headers: { 'x-forwarded-for': address } })
    const answers = await burst(path, from('203.0.113.7'))
    t.ok(limited(answers).length >= 10, `${path} without a token`)
    t.ok(answers.every((answer) => [status, 429].includes(answer.status)))
    t.equal((await h.call('GET', path, from('203.0.113.8'))).status, status, 'another address')
    t.equal((await h.call('GET', '/api/v2/runs', { sub: `at ${path}`, headers: { 'x-forwarded-for': '203.0.113.7' } })).status, 200)
    await eventually(async () => (await h.call('GET', path, from('203.0.113.8'))).status === status)
  }
  for (const path of ['/livez', '/readyz', '/metrics']) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${h.nodes[0]?.http}${path}`)))
    t.ok(
      answers.every(({ status }) => status !== 429),
      path,
    )
  }
  await eventually(async () => (await h.call('GET', '/api/v2/runs')).status === 200)
  t.same(h.faults, [])
})

t.test('[LIMIT-4] a node that drains takes no more sockets; those that are there stay', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const client = await h.connect(id)
  await client.next('status')
  h.nodes[0]?.hub.guards.upgrades.drain()
  const { status, headers, text } = await upgrade(t, h)
  t.match({ status, headers, body: JSON.parse(text) }, { status: 503, headers: { 'retry-after': '5' }, body: { error: 'restart' } })
  client.send({ type: 'ping' })
  t.same(await client.next(), { type: 'pong' })
  t.same(h.faults, [])
})

/** A masked frame (RFC 6455, section 5.2) of less than 126 bytes, its mask all zeros. */
const frame = (head: number, payload = '') => Buffer.from([head, 0x80 | payload.length, 0, 0, 0, 0, ...Buffer.from(payload)])

t.test('[LIMIT-5] a socket that sends more than a token needs is cut, one with a token is not', async (t) => {
  const h = await startHarness(t, { processor: null, env: { AUTH_TIMEOUT_MS: '60000' } })
  const { pending } = h.nodes[0]?.hub.guards.upgrades ?? {}
  const cases: [name: string, bytes: Buffer, code: number][] = [
    ['a message in fragments of one byte', Buffer.concat([frame(0x01, 'a'), ...Array<Buffer>(40).fill(frame(0x00, 'a'))]), 1008],
    ['pings', Buffer.concat(Array<Buffer>(2000).fill(frame(0x89))), 1009],
    ['pongs', Buffer.concat(Array<Buffer>(33).fill(frame(0x8a))), 1009],
    [
      'a message of more than 16 KiB that does not end',
      Buffer.concat([Buffer.from([0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]), Buffer.alloc(16_384)]),
      1009,
    ],
  ]
  for (const [name, bytes, code] of cases) {
    const { socket } = await rawSocket(t, h, '/ws')
    socket.write(bytes)
    let answer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk])
    })
    await once(socket, 'close')
    const close = answer.subarray(answer.lastIndexOf(0x88))
    t.equal(close.readUInt16BE(2), code, name)
    t.equal(pending?.size, 0, 'and is not counted any more')
  }
  const { socket } = await rawSocket(t, h, `/ws?token=${h.token()}`)
  await eventually(() => pending?.size === 0)
  socket.write(Buffer.concat(Array<Buffer>(40).fill(frame(0x81, '{"type":"ping"}'))))
  let answers = ''
  socket.on('data', (chunk: Buffer) => {
    answers += chunk.toString('latin1')
  })
  await eventually(() => answers.split('"pong"').length === 41)
  t.same(h.faults, [])
})

t.test('[LIMIT-5] an address with too many sockets without a token gets 503; whoever sends a token frees a place', async (t) => {
  const h = await startHarness(t, { processor: null, env: { AUTH_TIMEOUT_MS: '60000', MAX_PENDING_SOCKETS_PER_ADDRESS: '2' } })
  const first = new WebSocket(`${h.nodes[0]?.ws}/ws`)
  t.teardown(() => first.terminate())
  await once(first, 'upgrade')
  t.equal((await upgrade(t, h)).status, 101)
  const { status, headers, text } = await upgrade(t, h)
  t.match({ status, headers, body: JSON.parse(text) }, { status: 503, headers: { 'retry-after': '1' }, body: { error: 'overloaded' } })
  const stream = await fetch(`${h.nodes[0]?.http}/api/v2/runs/${await h.submit()}/events`, {
    headers: { authorization: `Bearer ${h.token()}`, accept: 'text/event-stream' },
  })
  t.equal(stream.status, 200, 'a stream has its token with it')
  await stream.body?.cancel()
  first.send(JSON.stringify({ type: 'auth', token: h.token() }))
  await eventually(async () => (await upgrade(t, h)).status === 101)
  t.same(h.faults, [])
})

t.test('[CONN-11] over real sockets: the fourth refusal of a token, or of an origin, comes later', async (t) => {
  const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: 'https://runs.example' } })
  const proofs = [
    { code: 4001, url: `${h.nodes[0]?.ws}/ws?token=none`, origin: 'https://runs.example' },
    { code: 4003, url: `${h.nodes[0]?.ws}/ws?token=${token()}`, origin: 'https://evil.example' },
  ]
  const held: { opened: Promise<unknown>; closed: Promise<number>; socket: WebSocket; code: number }[] = []
  for (const { code, url, origin } of proofs) {
    const connectOnce = () => {
      const socket = new WebSocket(url, { origin })
      t.teardown(() => socket.terminate())
      return { socket, code, opened: once(socket, 'open'), closed: once(socket, 'close').then(([came]) => came as number) }
    }
    for (let i = 0; i < 3; i += 1) t.equal(await connectOnce().closed, code)
    held.push(connectOnce())
  }
  await Promise.all(held.map(({ opened }) => opened))
  await eventually(() => h.nodes[0]?.hub.server.sessions.size === 1)
  await sleep(200) // nothing is to happen
  t.ok(held.every(({ socket }) => socket.readyState === socket.OPEN))
  await h.nodes[0]?.hub.server.drain()
  for (const { closed, code } of held) t.equal(await closed, code, 'a node that stops tells it at once')
})

/** What each caller gets: a status, or one of several. */
type Row = Readonly<Record<Caller, number | readonly number[]>>
const CALLERS = ['none', 'other', 'worker', 'stranger', 'admin', 'owner'] as const
type Caller = (typeof CALLERS)[number]
/** Those who change nothing of the job of another. */
const STRANGERS = CALLERS.slice(0, 4)

/** A job is there for its owner and admins only. */
const ofJob = (owner: Row['owner'], admin = owner): Row => ({ owner, other: 404, worker: 403, stranger: 403, admin, none: 401 })
const ofUsers = (status: Row['owner']): Row => ({ owner: status, other: status, worker: 403, stranger: 403, admin: status, none: 401 })
const ofAdmins = (status: number): Row => ({ owner: 403, other: 403, worker: 403, stranger: 403, admin: status, none: 401 })
const ofAll: Row = { owner: 200, other: 200, worker: 200, stranger: 200, admin: 200, none: 200 }

interface Case {
  /** Method and path, as the document has them. `{jobs}` is each path of jobs. */
  readonly route: string
  readonly row: Row
  readonly query?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

t.test('[JOB-3] every route and option: owner, other user, workers, admin, no token', async (t) => {
  const h = await startHarness(t, { processor: null, env: { WORKER_LOCK_MS: '300000' } })
  const tokens: Record<Caller, string | null> = {
    owner: h.token('alice'),
    other: h.token('bob'),
    worker: workerToken(),
    stranger: h.token('worker-2', { claims: { role: 'worker', kinds: ['benchmark'] } }),
    admin,
    none: null,
  }
  const words = { title: 'Secret', tags: ['secret'], metadata: { secret: 1 } }
  const submitted = await h.call('POST', '/api/jobs', { body: { kind: 'run', id: 'a-run', input: HORN, ...words } })
  t.equal(submitted.status, 202)
  const claimant = new Claimant(h)
  await claimant.claim()
  const { round, token: claim_token } = claimant.job
  const secret = { type: 'metric_update', metric_name: 'secret', value: 1, unit: 'm' }
  t.equal((await claimant.post([{ type: 'log', line: 'secret' }, secret])).status, 200)
  const upload = (id: string, bearer: string, query: string) =>
    fetch(`${h.nodes[0]?.http}/api/v2/jobs/${id}/artifacts/secret.txt?${query}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${bearer}` },
      body: 'secret',
    })
  const lease = `round=${round}&claim_token=${claim_token}`
  t.equal((await upload('a-run', workerToken(), lease)).status, 201)
  const own = await h.call('POST', '/api/jobs', { body: { kind: 'run', id: 'a-lease', input: HORN, claim: true } })
  t.equal(own.status, 201)
  t.equal((await h.call('POST', '/api/v2/optimizations', { body: { optimization_id: 'an-optimization', ...TWO_OBJECTIVES } })).status, 202)
  const idOf = (path: string) => (path.includes('optimizations') ? 'an-optimization' : 'a-run')
  const bodyOf = (base: string) =>
    base.endsWith('jobs') ? { kind: 'run', input: HORN } : base.endsWith('runs') ? { input: HORN } : TWO_OBJECTIVES

  let n = 10
  const next = () => {
    n += 1
    return n
  }
  const post = (of: { round: number; token: number }) => ({ round: of.round, token: of.token, events: [] })
  const cases: readonly Case[] = [
    { route: 'GET /livez', row: ofAll },
    { route: 'GET /readyz', row: ofAll },
    { route: 'GET /metrics', row: ofAll },
    { route: 'GET {jobs}', row: ofUsers(200) },
    { route: 'GET {jobs}', query: 'owner=alice', row: { ...ofUsers(403), owner: 200, admin: 200 } },
    { route: 'GET {jobs}', query: 'tag=secret&title=secret&parent=none', row: ofUsers(200) },
    { route: 'POST {jobs}', row: ofUsers(202) },
    { route: 'GET {jobs}/{id}', row: ofJob(200) },
    { route: 'PATCH {jobs}/{id}', body: { metadata: { secret: 2 } }, row: ofJob(200) },
    { route: 'GET {jobs}/{id}/input', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/events', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/artifacts', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/artifacts/{name}', row: ofJob([200, 404]) },
    { route: 'GET {jobs}/{id}/log', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/log', headers: { accept: 'text/plain' }, row: ofJob(200) },
    { route: 'GET {jobs}/{id}/series', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/series', query: 'metric=secret', row: ofJob([200, 404]) },
    { route: 'GET {jobs}/{id}/series', query: 'metric=secret&format=csv', row: ofJob([200, 404]) },
    { route: 'GET {jobs}/{id}/iterations', row: ofJob(200) },
    { route: 'GET {jobs}/{id}/pareto', row: ofJob(200) },
    { route: 'POST {jobs}/{id}/retry', row: ofJob(409) },
    { route: 'POST {jobs}/{id}/pause', row: ofJob([202, 409]) },
    { route: 'POST {jobs}/{id}/resume', row: ofJob([202, 409]) },
    { route: 'GET /api/processes/events', row: { ...ofUsers(404) } },
    { route: 'GET /api/models', row: ofUsers(200) },
    { route: 'POST /api/benchmark', body: {}, row: ofUsers(422) },
    { route: 'POST /api/v2/jobs/claim', body: { kind: 'run', wait_s: 0 }, row: { ...ofUsers(403), worker: [200, 204] } },
    {
      route: 'POST /api/v2/jobs/{id}/events',
      body: post(claimant.job),
      row: { owner: 403, other: 404, worker: 200, stranger: 403, admin: 403, none: 401 },
    },
    {
      route: 'POST /api/v2/jobs/{id}/events',
      query: 'a-lease',
      body: post(own.body),
      row: { owner: 200, other: 404, worker: 409, stranger: 403, admin: 403, none: 401 },
    },
    {
      route: 'PUT /api/v2/jobs/{id}/artifacts/{name}',
      query: lease,
      row: { owner: 403, other: 404, worker: 201, stranger: 403, admin: 403, none: 401 },
    },
    {
      route: 'PUT /api/v2/jobs/{id}/artifacts/{name}',
      query: `round=${own.body.round}&claim_token=${own.body.token}`,
      body: 'a-lease',
      row: { owner: 201, other: 404, worker: 409, stranger: 403, admin: 403, none: 401 },
    },
    { route: 'POST /api/revocations', body: { jti: 'unused' }, row: ofAdmins(202) },
    { route: 'GET /api/revocations', row: ofAdmins(200) },
    { route: 'DELETE /api/revocations/{id}', row: ofAdmins(404) },
    { route: 'GET /api/admin/jobs', row: ofAdmins(200) },
    { route: 'GET /api/admin/queues', row: ofAdmins(200) },
    { route: 'GET /api/admin/workers', row: ofAdmins(200) },
    { route: 'GET /api/admin/sessions', row: ofAdmins(200) },
    { route: 'DELETE /api/admin/sessions', query: 'user=nobody', row: ofAdmins(200) },
    { route: 'DELETE /api/admin/sessions/{id}', row: ofAdmins(404) },
    { route: 'POST {jobs}/{id}/cancel', row: ofJob([202, 409]) },
  ]

  const document = (await (await fetch(`${h.nodes[0]?.http}/docs/openapi.json`)).json()) as OpenApi
  const bases = /^\/api\/(v2\/runs|v2\/optimizations|jobs|processes)(?=\/\{id\}|$)/
  const known = new Set(cases.map(({ route }) => route))
  const routes = Object.entries(document.paths).flatMap(
    ([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path, route: `${method.toUpperCase()} ${path.replace(bases, '{jobs}')}` })), // biome-ignore format: one line
  )
  t.same(routes.filter(({ route }) => !known.has(route)).map(({ route }) => route), [], 'each route has a row') // biome-ignore format: one line
  t.same(
    [...known].filter((route) => !routes.some((each) => each.route === route)),
    [],
    'and each row a route',
  )

  const ask = async ({ route, query, body, headers }: Case, method: string, path: string, id: string, caller: Caller) => {
    const isUpload = method === 'PUT'
    const ofLease = query === 'a-lease' || body === 'a-lease'
    const at = path
      .replace('{id}', id === 'nobody' || !ofLease ? id : 'a-lease')
      .replace('{name}', isUpload ? `${caller}.txt` : 'secret.txt')
    const asked = query === undefined || query === 'a-lease' ? at : `${at}?${query}`
    const sent = isUpload ? 'content' : route === 'POST {jobs}' ? bodyOf(path) : body
    const numbered = route === 'POST /api/v2/jobs/{id}/events' ? { ...(sent as object), n: next() } : sent // an object, by its row
    const response = await fetch(`${h.nodes[0]?.http}${asked}`, {
      method,
      headers: {
        ...(tokens[caller] && { authorization: `Bearer ${tokens[caller]}` }),
        ...(sent !== undefined && { 'content-type': isUpload ? 'text/plain' : 'application/json' }),
        ...headers,
      },
      ...(numbered !== undefined && { body: typeof numbered === 'string' ? numbered : JSON.stringify(numbered) }),
    })
    return { status: response.status, text: await response.text() }
  }
  /** An error without what differs from request to request. */
  const plain = ({ text }: { text: string }) => text.replace(/"request_id":"[^"]*"/, '')

  for (const each of cases) {
    for (const { method, path, route } of routes) {
      if (route !== each.route) continue
      const isOfJob = /^(?!\/api\/(admin|revocations)).*\{id\}/.test(path)
      const check = async (caller: Caller) => {
        const answer = await ask(each, method, path, idOf(path), caller)
        const expected = [each.row[caller]].flat()
        const name = `${caller}: ${method} ${path} ${each.query ?? ''} → ${answer.status}, expected ${expected}`
        if (!expected.includes(answer.status)) t.fail(`${name}: ${answer.text}`)
        if (caller === 'owner' || caller === 'admin') return
        const shows = caller !== 'worker' && answer.status !== 403 && path !== '/metrics' && /secret|alice/i.test(answer.text)
        if (shows) t.fail(`${name} shows something of the owner: ${answer.text}`)
        const isLikeNobody = !isOfJob || caller !== 'other' || plain(answer) === plain(await ask(each, method, path, 'nobody', caller))
        if (!isLikeNobody) t.fail(`${name}: unlike an id that does not exist`)
      }
      await Promise.all(STRANGERS.map(check))
      for (const caller of ['admin', 'owner'] as const) await check(caller)
      t.pass(`${method} ${path} ${each.query ?? ''}`)
    }
  }
  t.match(await h.call('POST', '/api/v2/runs', { sub: 'bob', body: { run_id: 'a-run', input: HORN } }), { status: 409, body: { error: 'id_taken' } }) // biome-ignore format: one line

  const wanted = 'log=1&series=1&artifacts=1&health=1'
  const telemetry = /log|series|artifacts|health/
  const live = async (client: TestClient) => {
    await eventually(() =>
      ['log', 'series', 'artifacts', 'health'].every((type) => client.messages.some((message) => message.type === type)),
    )
    client.terminate()
  }
  for (const path of ['/api/v2/ws/runs/{id}', '/api/jobs/{id}/socket']) {
    for (const caller of CALLERS) {
      const open = (id: string) => {
        const client = new TestClient(
          `${h.nodes[0]?.ws}${path.replace('{id}', id)}?${wanted}${tokens[caller] ? `&token=${tokens[caller]}` : ''}`,
        )
        h.onTeardown(() => client.terminate())
        return client
      }
      const client = open('a-run')
      if (caller === 'owner' || caller === 'admin') await live(client)
      else if (caller === 'none') {
        await client.opened
        client.send({ type: 'cancel' })
        t.match(await client.next('refused'), { code: 'unauthenticated' })
      } else {
        const closed = await client.closed
        t.equal(closed.code, caller === 'other' ? 4004 : 4003, `${caller}: ${path}`)
        t.same(closed, await open('nobody').closed)
        t.same(client.messages, [])
      }
    }
  }
  for (const caller of ['other', 'admin', 'owner'] as const) {
    const client = new TestClient(`${h.nodes[0]?.ws}/ws?token=${tokens[caller]}`)
    h.onTeardown(() => client.terminate())
    await client.next('process_list')
    const refusals: object[] = []
    for (const id of ['a-run', 'nobody']) {
      client.send({
        type: 'subscribe',
        process_id: id,
        dialect: 'run',
        log: true,
        log_after: 0,
        series: true,
        artifacts: true,
        health: true,
      })
      if (caller !== 'other' && id === 'a-run') {
        await live(client)
        break
      }
      refusals.push({ ...(await client.next('refused')), process_id: '' })
      for (const type of ['cancel_process', 'series']) {
        client.send({ type, process_id: id, metric_name: 'secret', from: 0 })
        refusals.push({ ...(await client.next('refused')), process_id: '' })
      }
    }
    t.same(refusals.slice(0, 3), refusals.slice(3), 'as an id that does not exist')
    if (caller === 'other') t.notOk(client.messages.some(({ type }) => telemetry.test(type)))
  }
  const streams: [path: string, row: Row][] = [['/api/v2/runs/a-run/events?', ofJob(200)], ['/api/processes/a-run/events?', ofJob(200)], ['/api/jobs/a-run/events?', ofJob(200)], ['/api/processes/events?process_id=a-run&', ofUsers(200)]] // biome-ignore format: a table
  for (const [path, row] of streams) {
    for (const caller of CALLERS) {
      const authorization = `Bearer ${tokens[caller]}`
      const stream = new SseClient(`${h.nodes[0]?.http}${path}${wanted}`, { headers: tokens[caller] ? { authorization } : {} })
      h.onTeardown(() => stream.terminate())
      t.equal((await stream.opened).statusCode, row[caller], `${caller}: ${path}`)
      if (row[caller] !== 200) continue
      if (caller === 'other') t.match(await stream.next('refused'), { process_id: 'a-run', code: 'not_found' })
      else
        await eventually(() =>
          [/log$/, /series$/, /artifacts$/, /health$/].every((type) => stream.messages.some((message) => type.test(message.type))),
        )
      if (caller === 'other') t.notOk(stream.messages.some(({ process_id, type }) => process_id === 'a-run' && type !== 'refused'))
      stream.terminate()
    }
  }
  const end = [{ type: 'completed', metrics_summary: {} }]
  const ended = (sub: string) => h.call('POST', '/api/v2/jobs/a-lease/events', { sub, body: { ...post(own.body), n: next(), events: end } })
  t.match(await ended('bob'), { status: 404 })
  t.match(await ended('alice'), { status: 200 })
  await eventually(async () => (await h.call('GET', '/api/jobs/a-lease')).body.status === 'completed')
  t.match(
    await h.call('POST', '/api/v2/jobs/a-lease/events', { body: { ...post(own.body), n: next() } }),
    { status: 409 },
    'not after the end',
  )
  t.match(await upload('a-lease', h.token(), `round=${own.body.round}&claim_token=${own.body.token}`), { status: 409 })
  t.same(h.faults, [])
})

t.test('[JOB-3] [ART-3] [LOG-2] an id that another user has now shows nothing of its first job', async (t) => {
  const h = await startHarness(t, {
    processor: null,
    nodes: 2,
    env: { FINAL_TTL_MS: '1000', SWEEP_INTERVAL_MS: '100', LINGER_MS: '60000', WORKER_LOCK_MS: '60000' },
  })
  const submit = (sub: string, words: object, input: object = HORN) =>
    h.call('POST', '/api/jobs', { sub, body: { kind: 'run', id: 'again', input, ...words } })
  await submit('alice', { title: 'Secret', tags: ['secret'], metadata: { secret: 1 } })
  const claimant = new Claimant(h)
  await claimant.claim()
  const { round, token: claim_token } = claimant.job
  const secret = { type: 'metric_update', metric_name: 'secret', value: 1, unit: 'm' }
  await claimant.post([{ type: 'log', line: 'secret' }, secret])
  await fetch(`${h.nodes[0]?.http}/api/v2/jobs/again/artifacts/secret.txt?round=${round}&claim_token=${claim_token}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${workerToken()}` },
    body: 'secret',
  })
  const wanted = 'log=1&log_after=0&series=1&artifacts=1'
  const first = await h.connect('again', { query: wanted })
  await eventually(() => ['log', 'series', 'artifacts'].every((type) => first.messages.some((message) => message.type === type)))
  await claimant.post([{ type: 'completed', metrics_summary: { secret: 1 } }])
  await eventually(async () => (await h.call('GET', '/api/jobs/again')).status === 404, { timeoutMs: 10_000 })

  t.equal((await submit('bob', {}, { ...HORN, height_mm: 100 })).status, 202)
  const count = first.messages.length
  const late = await h.connect('again', { sub: 'bob', query: wanted })
  const other = await h.connect('again', { sub: 'bob', query: wanted, node: 1 })
  const second = new Claimant(h, 'worker-9')
  await second.claim()
  t.equal((await second.post([{ type: 'log', line: 'of bob' }])).status, 200)
  for (const client of [late, other]) {
    await eventually(() => client.messages.some(({ type, lines }) => type === 'log' && lines.length > 0))
    t.notMatch(JSON.stringify(client.messages), /secret/i)
  }
  for (const path of ['', '/input', '/events', '/log', '/series', '/artifacts']) {
    const { status, body } = await h.call('GET', `/api/jobs/again${path}`, { sub: 'bob' })
    t.equal(status, 200)
    t.notMatch(JSON.stringify(body), /secret|alice/i, path)
    t.equal((await h.call('GET', `/api/jobs/again${path}`)).status, 404)
  }
  for (const sub of ['alice', 'bob'])
    for (const query of ['tag=secret', 'title=Secret'])
      t.same((await h.call('GET', `/api/jobs?${query}`, { sub })).body.jobs, [], `${sub}: ${query}`)
  t.same((await h.call('GET', '/api/jobs')).body.jobs, [])
  t.equal((await h.call('GET', '/api/jobs/again/artifacts/secret.txt', { sub: 'bob' })).status, 404)
  await first.closed
  t.notMatch(JSON.stringify(first.messages.slice(count)), /of bob|"status":"(queued|running)"/)
  t.same(h.faults, [])
})
