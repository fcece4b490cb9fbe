import { mock } from 'node:test'
import t from 'tap'
import { HubSocket, type Received, type WebSocketLike } from '../../src/client/hub-socket.js'
import { settle } from '../support/manual.js'

/** A socket whose other side is the test. */
class Socket implements WebSocketLike {
  static last: Socket
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  readonly sent: Received[] = []
  isClosed = false

  constructor() {
    Socket.last = this
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.isClosed = true
  }

  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
}

/** A HubSocket, its WebSocket, and what its owner received. */
async function setUp(t: { teardown(act: () => void): void }, opens = true, token: () => string | Promise<string> = () => 'a token') {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const closed: number[] = []
  const received: Received[] = []
  const hubSocket = new HubSocket(
    { url: 'ws://hub', token, WebSocket: Socket },
    { received: (_hubSocket, message) => received.push(message), closed: (_hubSocket, code) => closed.push(code) },
  )
  await settle()
  const socket = Socket.last
  if (opens) socket.onopen?.({})
  const sent = (type: string) => socket.sent.filter((message) => message.type === type).length
  return { hubSocket, socket, closed, received, sent }
}

t.test('a socket that is silent is pinged, and given up without an answer', async (t) => {
  const { socket, closed, received, sent } = await setUp(t)
  mock.timers.tick(24_000)
  socket.says({ type: 'status' })
  mock.timers.tick(24_000)
  t.equal(sent('ping'), 0, 'it has just spoken')
  mock.timers.tick(1000)
  t.equal(sent('ping'), 1)
  mock.timers.tick(9000)
  socket.says({ type: 'pong' })
  t.same(received, [{ type: 'status' }], 'the answer is for nobody else')
  mock.timers.tick(25_000)
  t.equal(sent('ping'), 2)
  t.same(closed, [])
  mock.timers.tick(10_000)
  t.same(closed, [1006])
  t.ok(socket.isClosed)
  socket.onclose?.({ code: 1006, reason: '' })
  mock.timers.tick(60_000)
  t.same(closed, [1006], 'it is reported once')
})

t.test('a socket that does not open is given up', async (t) => {
  const { socket, closed } = await setUp(t, false)
  mock.timers.tick(19_000)
  t.same(closed, [])
  mock.timers.tick(1000)
  t.same(closed, [1006])
  t.ok(socket.isClosed)
})

t.test('a socket that was closed sends nothing more', async (t) => {
  const { hubSocket, closed, sent } = await setUp(t)
  hubSocket.close()
  mock.timers.tick(120_000)
  t.equal(sent('ping'), 0)
  t.same(closed, [])
})

t.test('[MSG-3] a renewal that the hub cannot look at is tried again', async (t) => {
  const { socket, received, sent } = await setUp(t)
  t.equal(sent('auth'), 1)
  socket.says({ type: 'refused', request: 'auth', code: 'overloaded', message: 'later' })
  mock.timers.tick(5000)
  await settle()
  t.equal(sent('auth'), 2)
  t.same(received, [])
})

t.test('[CONN-1] a token that takes long is waited for before the socket is opened', async (t) => {
  const before = Socket.last
  let resolveToken = (_token: string) => {}
  const { socket, closed } = await setUp(t, false, () => new Promise((resolve) => (resolveToken = resolve)))
  t.equal(socket, before, 'no socket yet')
  mock.timers.tick(60_000)
  t.same(closed, [])
  resolveToken('late')
  await settle()
  Socket.last.onopen?.({})
  t.same(Socket.last.sent, [{ type: 'auth', token: 'late' }])
})

t.test('a cut and a failed connect have a reason', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  for (const [opens, expected] of [
    [true, 'the connection was lost'],
    [false, 'the hub cannot be reached'],
  ] as const) {
    const reasons: string[] = []
    new HubSocket(
      { url: 'ws://hub', token: () => 'one', WebSocket: Socket },
      { received: () => {}, closed: (_hubSocket, code, reason) => reasons.push(`${code} ${reason}`) },
    )
    await settle()
    if (opens) Socket.last.onopen?.({})
    Socket.last.onclose?.({ code: 1006, reason: '' })
    t.same(reasons, [`1006 ${expected}`])
  }
})

t.test('[CONN-1] without a token a socket fails with the reason', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const reasons: string[] = []
  const token = () => Promise.reject(new Error('the session is over'))
  new HubSocket(
    { url: 'ws://hub', token, WebSocket: Socket },
    { received: () => {}, closed: (_hubSocket, code, reason) => reasons.push(`${code} ${reason}`) },
  )
  await settle()
  t.same(reasons, ['1006 the session is over'])
})

t.test('a socket that is closed before it is open closes its WebSocket once that is open', async (t) => {
  const { hubSocket, socket } = await setUp(t, false)
  hubSocket.close()
  t.notOk(socket.isClosed, 'a browser would warn')
  socket.onopen?.({})
  t.ok(socket.isClosed)
  t.same(socket.sent, [])
})

t.test('a socket that is closed and never opens gives its WebSocket up', async (t) => {
  const { hubSocket, socket, closed } = await setUp(t, false)
  hubSocket.close()
  mock.timers.tick(20_000)
  t.ok(socket.isClosed)
  t.same(closed, [])
})

t.test('a socket whose messages are not those of a hub is given up', async (t) => {
  for (const data of ['', 'hello', '5', 'null', '[]', '{"type":5}']) {
    const { socket, closed, received } = await setUp(t)
    socket.onmessage?.({ data })
    t.match({ closed, received, isClosed: socket.isClosed }, { closed: [1006], received: [], isClosed: true }, data)
    mock.timers.reset()
  }
})
