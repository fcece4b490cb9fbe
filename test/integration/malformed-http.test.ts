import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { bodies, DEFAULT_BODIES_OPTIONS } from '../../src/http/plugins/bodies.js'
import { counting } from '../../src/http/plugins/counting.js'
import { errors } from '../../src/http/plugins/errors.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'

/** Connects, sends, and collects what comes until the other side ends. */
function send(t: Test, port: number, text: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  return { socket, answer: once(socket, 'close').then(() => answer) }
}

const portOf = (h: Harness) => Number(new URL(h.nodes[0]?.http ?? '').port)
const statusOf = (answer: string) => Number(answer.slice(9, 12))
const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))

t.test('[HTTP-1] a body that does not come: 408, and the connection ends', async (t) => {
  const app = Fastify()
  await app.register(counting)
  await app.register(bodies, { ...DEFAULT_BODIES_OPTIONS, unauthenticatedMs: 60, stallMs: 100, checkMs: 10, discardMs: 20 })
  await app.register(errors)
  app.post('/known', {
    onRequest: async (request) => {
      request.identity = { sub: 'alice', role: 'user', issuedAt: 0, expiresAt: 0 }
    },
    handler: async () => new Promise((resolve) => setTimeout(resolve, 300, { done: true })),
  })
  app.post('/refused', {
    onRequest: async () => {
      throw new RuncastError('unauthenticated')
    },
    handler: async () => ({}),
  })
  app.get('/slow', async () => new Promise((resolve) => setTimeout(resolve, 300, { done: true })))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const ask = (line: string, body = '') => `${line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${body}`
  const missing = 'Content-Length: 60000\r\n\r\n'

  for (const path of ['/known', '/nowhere']) {
    const { answer } = send(t, port, ask(`POST ${path}`, missing))
    t.equal(statusOf(await answer), 408, path)
    t.match(bodyOf(await answer), { error: 'request_timeout', message: /.+/, detail: [] })
  }
  const chunked = send(t, port, ask('POST /known', 'Transfer-Encoding: chunked\r\n\r\n'))
  t.equal(statusOf(await chunked.answer), 408, 'also one without a length')
  const refused = await send(t, port, ask('POST /refused', missing)).answer
  t.equal(statusOf(refused), 401)
  t.match(refused, /connection: close/i)
  const flood = await send(t, port, `${ask('POST /refused', 'Content-Length: 1000000\r\n\r\n')}${'x'.repeat(200_000)}`).answer
  t.match(flood, /^HTTP\/1.1 401 .*connection: close/is, 'one that goes on sending is answered too')

  const whole = 'Content-Length: 2\r\n\r\n{}'
  for (const [line, body] of [
    ['POST /known', whole],
    ['GET /slow', '\r\n'],
  ] as const) {
    const { socket, answer } = send(t, port, ask(line, body))
    const [first] = await once(socket, 'data')
    t.match(String(first), /^HTTP\/1.1 200 /, `${line}: an answer takes as long as it takes`)
    socket.end()
    await answer
  }
  const two = send(t, port, ask('POST /refused', whole) + ask('GET /slow', 'Connection: close\r\n\r\n'))
  t.match(await two.answer, /^HTTP\/1.1 401 .*HTTP\/1.1 200 /s, 'a refused request whose body is there keeps its connection')
  t.ok(app.tally.refusals.rows.some(([[code], count]) => code === 'request_timeout' && count === 3))
})

t.test('[HTTP-2] what is no HTTP is answered in the shape of any error', async (t) => {
  const h = await startHarness(t, { processor: null })
  const cases: [text: string, status: number, error: string][] = [
    ['nonsense\r\n\r\n', 400, 'bad_request'],
    ['GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n', 400, 'bad_request'],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_big'],
    ['GET /livez HTTP/1.1\r\n\r\n', 400, 'bad_request'],
  ]
  for (const [text, status, error] of cases) {
    const answer = await send(t, portOf(h), text).answer
    t.equal(statusOf(answer), status, text.slice(0, 40))
    t.match(answer, /content-type: application\/json/i)
    t.match(bodyOf(answer), { error, message: /.+/, detail: [] })
  }
  t.same(h.faults, [])
})

t.test('[LIMIT-6] a hub takes at most MAX_CONNECTIONS connections', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_CONNECTIONS: '2' } })
  const held = [send(t, portOf(h), ''), send(t, portOf(h), '')]
  const connections = () =>
    new Promise<number>((resolve) => h.nodes[0]?.hub.server.server.getConnections((_error, count) => resolve(count)))
  await eventually(async () => (await connections()) === 2)
  t.equal(await send(t, portOf(h), 'GET /livez HTTP/1.0\r\n\r\n').answer, '', 'a third one is closed')
  held[0]?.socket.destroy()
  await eventually(async () => (await connections()) === 1)
  t.match(await send(t, portOf(h), 'GET /livez HTTP/1.0\r\n\r\n').answer, /200 OK/)
})
