import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { eventually } from '../support/eventually.js'
import { type Answer, type Harness, startHarness } from '../support/harness.js'
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
