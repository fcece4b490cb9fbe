import { mock } from 'node:test'
import t from 'tap'
import { Connection, type ConnectionState } from '../../src/client/connection.js'
import type { Received, WebSocketLike } from '../../src/client/hub-socket.js'
import { settle } from '../support/manual.js'

/** A page: the events that it gets, and whether it is visible and has a network. */
class Page extends EventTarget {
  visibilityState = 'visible'
}

/** A connection in a page, with the sockets that it opened. */
async function setUp(t: { teardown(act: () => void): void }) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const window = new EventTarget()
  const document = new Page()
  const navigator = { onLine: true }
  const globals = {
    document,
    navigator,
    addEventListener: window.addEventListener.bind(window),
    removeEventListener: window.removeEventListener.bind(window),
  }
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const)
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true })
  t.teardown(() => {
    mock.timers.reset()
    for (const [name, property] of before) {
      if (property) Object.defineProperty(globalThis, name, property)
      else Reflect.deleteProperty(globalThis, name)
    }
  })
  const sockets: Socket[] = []
  class Socket implements WebSocketLike {
    onopen: WebSocketLike['onopen'] = null
    onmessage: WebSocketLike['onmessage'] = null
    onclose: WebSocketLike['onclose'] = null
    onerror: WebSocketLike['onerror'] = null
    readonly sent: string[] = []

    constructor() {
      sockets.push(this)
    }

    send(text: string): void {
      this.sent.push(text)
    }

    close(): void {}
  }
  const isFirstState = (message: Received) => message.type === 'state'
  const connection = new Connection({ url: 'ws://hub', WebSocket: Socket }, { query: () => ({}), isFirstState, receive: () => {} })
  const states: ConnectionState[] = []
  connection.subscribe(() => states.push(connection.state))
  connection.start()
  await settle()
  /** The newest socket opens and brings the state. */
  const goOnline = () => {
    const socket = sockets.at(-1)
    socket?.onopen?.({})
    socket?.onmessage?.({ data: '{"type":"state"}' })
  }
  return { connection, sockets, states, window, document, navigator, goOnline }
}

t.test('a page that gets its network back connects at once', async (t) => {
  const { connection, sockets, states, window, navigator, goOnline } = await setUp(t)
  goOnline()
  t.equal(connection.state.status, 'online')
  navigator.onLine = false
  mock.timers.tick(5000)
  const lostAt = Date.now()
  sockets.at(-1)?.onclose?.({ code: 1006, reason: '' })
  t.match(connection.state, { status: 'offline', since: lostAt, reason: { code: 1006 }, nextAttemptAt: Number })
  navigator.onLine = true
  window.dispatchEvent(new Event('online'))
  await settle()
  t.equal(sockets.length, 2, 'without the delay')
  t.match(states.at(-1), { status: 'reconnecting', nextAttemptAt: null })
  goOnline()
  t.match(connection.state, { status: 'online', since: lostAt, reason: null })
  connection.close()
})

t.test('a page that is shown or was frozen asks its socket, and replaces a dead one within 2 s', async (t) => {
  const { connection, sockets, window, document, goOnline } = await setUp(t)
  goOnline()
  const pings = () => sockets[0]?.sent.filter((text) => text === '{"type":"ping"}').length
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  t.equal(pings(), 0, 'it is hidden')
  document.visibilityState = 'visible'
  document.dispatchEvent(new Event('resume'))
  document.dispatchEvent(new Event('visibilitychange'))
  window.dispatchEvent(new Event('pageshow'))
  t.equal(pings(), 1, 'one for all events of the moment')
  mock.timers.tick(1999)
  t.equal(connection.state.status, 'online')
  mock.timers.tick(1)
  t.match(connection.state, { status: 'reconnecting', reason: { reason: 'no answer' } })
  mock.timers.tick(250)
  await settle()
  t.equal(sockets.length, 2)
  connection.close()
})

t.test('a page that is shown and hidden many times makes one attempt a second', async (t) => {
  const { connection, sockets, document } = await setUp(t)
  for (let times = 0; times < 20; times += 1) {
    sockets.at(-1)?.onclose?.({ code: 1006, reason: '' })
    document.dispatchEvent(new Event('visibilitychange'))
    await settle()
  }
  t.equal(sockets.length, 2)
  connection.close()
})

t.test('a connection that has ended listens to the page no more', async (t) => {
  const { connection, sockets, window, document } = await setUp(t)
  connection.close()
  window.dispatchEvent(new Event('online'))
  document.dispatchEvent(new Event('resume'))
  await settle()
  t.equal(sockets.length, 1)
  t.equal(connection.state.status, 'ended')
})
