import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import type { ConnectionState } from '../../src/client/connection.js'
import { watchJob } from '../../src/client/watch-job.js'
import { CODES, type Code } from '../../src/protocol/codes.js'
import { eventually } from '../support/eventually.js'
import { completed, metric, SNAPSHOT, startServer } from '../support/scripted-server.js'

t.test('[CONN-1] the token goes in the first message, never in the URL', async (t) => {
  const server = await startServer(t)
  server.watch()
  const { url, received } = await server.connection(0)
  await eventually(() => received.length === 1)
  t.same(received, [{ type: 'auth', token: 'a-token' }])
  t.equal(url, '/j')
})

t.test('[POS-2] [POS-3] duplicates are dropped, left-out ticks are understood, the replay does not move the position', async (t) => {
  const server = await startServer(t)
  const { watch, messages } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(3), metric(5), metric(3), metric(6), metric(6), metric(9, { prev: 6 }), metric(7), completed(10))
  await watch.finished()
  t.same(
    messages.map(({ seq }) => seq),
    [5, 3, 5, 6, 9, 10],
  )
  t.equal(server.connections.length, 1)
})

t.test('[POS-2] a message whose predecessor is missing is not applied: the client resumes from what is proved', async (t) => {
  const server = await startServer(t)
  const { watch, messages } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), metric(8))
  const { url } = await server.connection(1)
  t.equal(url, '/j?after=6&epoch=e1')
  t.equal(watch.view?.seq, 6)
  server.say(1, { ...SNAPSHOT, seq: 8, recovered: true }, metric(7), metric(8), completed(9))
  await watch.finished()
  t.same(
    messages.map(({ seq }) => seq),
    [5, 6, 8, 7, 8, 9],
  )
})

t.test('[POS-2] prev that lies beyond what was had is a gap as well', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(9, { prev: 7 }))
  const { url } = await server.connection(1)
  t.equal(url, '/j?after=5&epoch=e1')
  t.equal(watch.view?.seq, 5)
})

t.test('a message that is not as its type is passed over', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  const { watch: all } = server.watchAll()
  for (const index of [0, 1]) {
    await server.connection(index)
    for (const type of ['status', 'subscribed', 'process_list', 'metric_update', 'completed', 'process_progress', 'refused'])
      server.say(index, { type }, { type, recovered: false, process: null, processes: null, seq: null, process_id: 'j' })
    server.say(index, SNAPSHOT, completed(6), { type: 'process_list', processes: [], recent: [], timestamp: '' })
  }
  t.match(await watch.finished(), { status: 'completed' })
  t.equal((await all.until(() => true)).size, 0)
  t.equal(server.connections.length, 2)
})

t.test('a lost connection is opened again and resumes, again and again', async (t) => {
  const server = await startServer(t)
  const { messages, ends } = server.watch()
  for (let i = 0; i < 5; i += 1) {
    const { socket, url } = await server.connection(i)
    if (i > 0) t.equal(url, `/j?after=${4 + i}&epoch=e1`)
    server.say(i, { ...SNAPSHOT, seq: 5 + i, recovered: i > 0 }, metric(5 + i))
    await eventually(() => messages.at(-1)?.type === 'metric_update' && messages.at(-1)?.seq === 5 + i)
    socket.terminate()
  }
  await server.connection(5)
  t.same(ends, [])
})

t.test('[SERIES-2] points whose request was refused are requested again', async (t) => {
  const server = await startServer(t)
  const part = (n: number) => ({
    type: 'series',
    metric_name: 'm',
    unit: '',
    x: 'step',
    epoch: 'g.1.1',
    from: n,
    n: n + 1,
    k: 1,
    points: [[n, 1]],
  })
  const refused = { type: 'refused', request: 'series', code: 'overloaded', message: '' }
  const requestsOf = ({ received }: { received: unknown[] }) =>
    received.filter((message) => (message as { type: string }).type === 'series')
  server.watch({ series: true })
  const ofJob = await server.connection(0)
  server.say(0, SNAPSHOT, part(3), part(4), refused, part(5))
  await eventually(() => requestsOf(ofJob).length === 2)
  const { watch } = server.watchAll()
  const ofAll = await server.connection(1)
  server.say(1, { type: 'process_list', processes: [], recent: [], truncated: false })
  await watch.until(() => true)
  watch.subscribe('p', { series: true })
  const ofProcess = { process_id: 'p', process_type: 'run' }
  server.say(1, { ...part(3), ...ofProcess }, { ...part(4), ...ofProcess }, { ...refused, process_id: 'p' }, { ...part(5), ...ofProcess })
  await eventually(() => requestsOf(ofAll).length === 2)
})

t.test('[CODE-1] each code ends a watch after as many tries as the table says', async (t) => {
  const codes = new Map(Object.values<Code>(CODES).flatMap((code) => (code.close === null ? [] : [[code.close, code]])))
  const ends = [...codes.values()].filter(({ reconnect }) => !reconnect).map(({ close, retries = 0 }) => [close, retries])
  t.same(
    ends.toSorted(([a], [b]) => Number(a) - Number(b)),
    [
      [1000, 0],
      [1009, 0],
      [4001, 1],
      [4003, 0],
      [4004, 3],
    ],
    'all others are retried, 4008 among them',
  )
  for (const code of [1006, 1008, 4999]) codes.set(code, { close: code, http: 0, reconnect: true, text: 'of somebody between' })
  for (const [close, { reconnect, retries = 0 }] of codes) {
    const server = await startServer(t)
    const { watch, ends } = server.watch()
    const tries = reconnect ? 6 : retries + 1
    for (let i = 0; i < tries; i += 1) {
      const { socket } = await server.connection(i)
      if (close === 1006) socket.terminate()
      else socket.close(close, 'because')
    }
    if (reconnect) {
      await server.connection(tries)
      t.same(ends, [], `${close}`)
    } else {
      await t.rejects(watch.finished(), { message: `the watch has ended: ${close} because` })
      t.same(ends, [{ code: close, reason: 'because' }])
      t.equal(server.connections.length, tries, `${close}`)
    }
    watch.close()
  }
})

t.test('[CODE-1] [CONN-3] tries are counted in a row: a connection that was good begins anew, and a cut does not count', async (t) => {
  const server = await startServer(t)
  let asked = 0
  const { watch, ends } = server.watch({ token: () => `token ${++asked}` })
  const closeNext = async (i: number, code: number) => {
    const { socket, received } = await server.connection(i)
    await eventually(() => received.length === 1)
    t.same(received, [{ type: 'auth', token: `token ${i + 1}` }], 'asked for anew')
    socket.close(code)
  }
  await closeNext(0, 1013)
  await closeNext(1, 4001)
  await closeNext(2, 1011)
  await server.connection(3)
  server.say(3, SNAPSHOT)
  await watch.until(() => true)
  await closeNext(3, 4001)
  await closeNext(4, 4001)
  t.same(ends, [])
  await closeNext(5, 4001)
  await eventually(() => ends.length === 1)
  t.equal(server.connections.length, 6)
})

t.test('[CONN-1] a token that comes later than a hub waits for it does not end the watch', async (t) => {
  const server = await startServer(t)
  let tell = (_token: string) => {}
  const { watch, ends } = server.watch({ token: () => new Promise((resolve) => (tell = resolve)) })
  await eventually(() => watch.state.status === 'connecting')
  t.equal(server.connections.length, 0, 'no socket waits for it')
  tell('late')
  const { received } = await server.connection(0)
  await eventually(() => received.length === 1)
  t.same(received, [{ type: 'auth', token: 'late' }])
  t.same(ends, [])
})

t.test('the URL may have a query of its own, and a fragment', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch({ url: `${server.url}?tenant=a%26b#here` })
  const first = await server.connection(0)
  t.equal(first.url, '/j?tenant=a%26b')
  server.say(0, SNAPSHOT)
  await watch.until(() => true)
  first.socket.terminate()
  const { url } = await server.connection(1)
  t.equal(url, '/j?tenant=a%26b&after=5&epoch=e1')
})

t.test('a URL that is none is refused at once; one of http is that of the socket', async (t) => {
  const server = await startServer(t)
  for (const url of ['/ws', 'nowhere', 'ftp://hub/ws'])
    t.throws(() => server.watch({ url }), { name: 'TypeError', message: /^url: expected a ws:/ })
  server.watch({ url: server.url.replace('ws:', 'http:') })
  t.equal((await server.connection(0)).url, '/j')
})

t.test('the state of the connection, and each change of it, is told to all who subscribed', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  const states: ConnectionState[] = []
  const note = () => states.at(-1) !== watch.state && states.push(watch.state)
  const { subscribe } = watch
  const stop = [subscribe(note), subscribe(note)]
  t.match(watch.state, { status: 'connecting', since: Number, reason: null, nextAttemptAt: null })
  const first = await server.connection(0)
  server.say(0, SNAPSHOT, metric(6))
  await watch.until(({ seq }) => seq === 6)
  first.socket.close(1013, 'full')
  await server.connection(1)
  server.say(1, { ...SNAPSHOT, seq: 6, recovered: true })
  await eventually(() => watch.state.status === 'online')
  stop[0]?.()
  watch.close()
  t.match(states, [
    { status: 'online', reason: null },
    { status: 'reconnecting', reason: { code: 1013, reason: 'full' }, nextAttemptAt: Number },
    { status: 'reconnecting', reason: { code: 1013, reason: 'full' }, nextAttemptAt: null },
    { status: 'online', reason: null, nextAttemptAt: null },
    { status: 'ended', reason: { code: 1000, reason: 'closed by this side' }, nextAttemptAt: null },
  ])
  t.equal(states.length, 5)
})

t.test('the view of a job is a snapshot: another object for each change', async (t) => {
  const server = await startServer(t)
  const views = new Set<unknown>()
  const { watch } = server.watch({ onMessage: (_message, view) => views.add(view) })
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), metric(7))
  const last = await watch.until(({ seq }) => seq === 7)
  t.equal(views.size, 3)
  t.equal(watch.view, last)
})

t.test('closing before it is open, and not awaiting a promise, raises nothing', async (t) => {
  const server = await startServer(t)
  const faults: unknown[] = []
  const note = (error: unknown) => faults.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const { watch } = server.watch()
  void watch.finished()
  void watch.until(() => false)
  watch.close()
  await t.rejects(watch.finished(), /the watch has ended/)
  await setImmediate()
  t.same(faults, [])
  t.equal(server.connections.length, 0)
})

t.test('a watch of one job ends at a socket in the process dialect', async (t) => {
  const server = await startServer(t)
  const list = { type: 'process_list', processes: [], recent: [], timestamp: '' }
  const process = { process_id: 'j', process_type: 'benchmark', status: 'running', seq: 1, epoch: 'e1' }
  const snapshot = { type: 'subscribed', process_id: 'j', process, seq: 1, epoch: 'e1', recovered: false, timestamp: '' }
  for (const [index, first] of [list, snapshot].entries()) {
    const { watch } = server.watch()
    await server.connection(index)
    server.say(index, first)
    await t.rejects(watch.finished(), /1003 this socket has the process dialect: use client\.watch\(\)/)
  }
})

t.test('without a WebSocket of its own a runtime needs one, and says so', async (t) => {
  const { WebSocket: own } = globalThis as { WebSocket?: unknown }
  const set = (value: unknown) => Object.assign(globalThis, { WebSocket: value })
  t.teardown(() => set(own))
  const server = await startServer(t)
  set(undefined)
  t.throws(() => watchJob({ url: server.url, token: () => '' }), { name: 'TypeError', message: /^WebSocket: / })
  set(WebSocket)
  const watch = watchJob({ url: server.url, token: () => '' })
  t.teardown(() => watch.close())
  await server.connection(0)
})

t.test('[POS-3] a replay that was cut off is asked for again: no durable entry is lost, none is told twice', async (t) => {
  const server = await startServer(t)
  const { watch, messages } = server.watch()
  const first = await server.connection(0)
  server.say(0, SNAPSHOT, metric(6))
  await watch.until(({ seq }) => seq === 6)
  first.socket.terminate()
  const second = await server.connection(1)
  t.equal(second.url, '/j?after=6&epoch=e1')
  server.say(1, { ...SNAPSHOT, seq: 10, recovered: true }, metric(7), metric(8))
  await eventually(() => messages.at(-1)?.seq === 8)
  second.socket.terminate()
  const third = await server.connection(2)
  t.equal(third.url, '/j?after=8&epoch=e1')
  server.say(2, { ...SNAPSHOT, seq: 10, recovered: true }, metric(9), metric(10), completed(11))
  await watch.finished()
  t.same(
    messages.filter((message) => !('recovered' in message)).map(({ seq }) => seq),
    [6, 7, 8, 9, 10, 11],
  )
})

t.test('[CONN-7] an end whose final message was cut off is asked for as a whole', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  const first = await server.connection(0)
  server.say(0, { ...SNAPSHOT, status: 'completed', seq: 9 }, metric(8))
  await watch.until(({ status }) => status === 'completed')
  first.socket.terminate()
  const second = await server.connection(1)
  t.equal(second.url, '/j')
  server.say(1, { ...SNAPSHOT, status: 'completed', seq: 9 }, metric(8), completed(9))
  t.match(await watch.finished(), { final: { type: 'completed' } })
  second.socket.terminate()
  t.equal((await server.connection(2)).url, '/j?after=9&epoch=e1')
})

t.test('a new epoch begins with its snapshot', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), { ...SNAPSHOT, seq: 2, epoch: 'e2' }, metric(3))
  const view = await watch.until(({ seq }) => seq === 3)
  t.equal(view.epoch, 'e2')
  t.same(Object.keys(view.metrics), ['m3'])
})

t.test('closing ends everything, and a watch that was closed does not come back', async (t) => {
  const server = await startServer(t)
  const { watch, ends } = server.watch()
  const { socket } = await server.connection(0)
  watch.close()
  watch.close()
  await once(socket, 'close')
  watch.start()
  t.same(ends, [{ code: 1000, reason: 'closed by this side' }])
  t.equal(server.connections.length, 1)
})
