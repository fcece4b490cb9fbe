import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { completed, metric, SNAPSHOT, startServer } from '../support/scripted-server.js'
import { Stage } from '../support/stage.js'
import { ProcessesWatcher, Watcher } from '../support/watcher.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const drain = (reconnect_in_ms = 0) => ({ type: 'drain', reconnect_in_ms, deadline_ms: 10_000 })
const expiring = (expires_at: string) => ({ type: 'token_expiring', expires_at })
const entries = (messages: readonly { seq?: number }[]) => messages.filter((message) => !('recovered' in message)).map(({ seq }) => seq)

t.test(
  '[DRAIN-2] a second socket resumes from what is proved, and the first is closed only when it has brought its snapshot',
  async (t) => {
    const server = await startServer(t)
    const { watch, messages, ends } = server.watch()
    const first = await server.connection(0)
    server.say(0, SNAPSHOT, metric(6), drain())
    const second = await server.connection(1)
    t.equal(second.url, '/j?after=6&epoch=e1')
    await eventually(() => second.received.length === 1)
    t.same(second.received, [{ type: 'auth', token: 'a-token' }])
    server.say(1, { type: 'authenticated' })
    // Until then the first one goes on as usual.
    server.say(0, metric(7), metric(8))
    await watch.until(({ seq }) => seq === 8)
    t.equal(first.socket.readyState, first.socket.OPEN)
    server.say(1, { ...SNAPSHOT, seq: 9, recovered: true }, metric(7), metric(8), metric(9), metric(10))
    await watch.until(({ seq }) => seq === 10)
    t.same(entries(messages), [6, 7, 8, 9, 10], 'nothing is lost, nothing is told twice')
    await eventually(() => first.socket.readyState === first.socket.CLOSED)
    server.say(1, completed(11))
    t.equal((await watch.finished()).status, 'completed')
    t.same(ends, [])
    t.equal(server.connections.length, 2)
  },
)

t.test('[DRAIN-2] a second hub that is behind the first one turns nothing back', async (t) => {
  const server = await startServer(t)
  const { watch, messages } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), drain())
  await server.connection(1)
  server.say(0, metric(7), metric(8), completed(9))
  await watch.finished()
  server.say(1, { ...SNAPSHOT, seq: 7, recovered: true }, metric(7))
  await eventually(() => messages.at(-1)?.type === 'status')
  t.match(watch.view, { seq: 9, status: 'completed', final: { type: 'completed' } })
  server.say(1, metric(8), completed(9), { type: 'status', status: 'queued', attempt: 1, timestamp: 'again', seq: 10 })
  await watch.until(({ status }) => status === 'queued')
  t.same(entries(messages), [6, 7, 8, 9, 10])
  t.equal(server.connections.length, 2)
})

t.test('[DRAIN-2] an end that is told while the second socket is on its way is told once', async (t) => {
  for (const recovered of [true, false]) {
    const server = await startServer(t)
    const { watch, messages } = server.watch()
    await server.connection(0)
    server.say(0, SNAPSHOT, drain())
    await server.connection(1)
    server.say(0, completed(6))
    await watch.finished()
    server.say(1, { ...SNAPSHOT, status: 'completed', seq: 6, recovered }, completed(6))
    await eventually(() => messages.at(-1)?.type === 'status')
    t.match(watch.view, { final: { seq: 6 } })
    server.say(1, { type: 'status', status: 'queued', attempt: 1, timestamp: 'again', seq: 7 })
    await watch.until(({ seq }) => seq === 7)
    t.same(entries(messages), [6, 7])
  }
})

t.test('[DRAIN-2] a second socket that fails is tried again for as long as the first one lives', async (t) => {
  const server = await startServer(t)
  const { watch, messages, ends } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, drain())
  const codes = [1013, 1011, 4008, 4001]
  for (const [i, code] of codes.entries()) {
    const { socket } = await server.connection(i + 1)
    socket.close(code)
    server.say(0, metric(6 + i))
    await watch.until(({ seq }) => seq === 6 + i)
  }
  const { url } = await server.connection(codes.length + 1)
  t.match(url, /^\/j\?after=[5-9]&epoch=e1$/)
  server.say(codes.length + 1, { ...SNAPSHOT, seq: 10, recovered: true }, metric(9), metric(10))
  await eventually(() => messages.at(-1)?.seq === 10)
  t.same(entries(messages), [6, 7, 8, 9, 10])
  t.same(ends, [])
})

t.test('[DRAIN-3] [OPS-3] closed with 1012 before it has moved, a client connects as after any cut', async (t) => {
  await t.test('while the second socket is on its way, which then is the only one', async (t) => {
    const server = await startServer(t)
    const { watch } = server.watch()
    const first = await server.connection(0)
    server.say(0, SNAPSHOT, drain())
    await server.connection(1)
    first.socket.close(1012)
    await eventually(() => first.socket.readyState === first.socket.CLOSED)
    server.say(1, { ...SNAPSHOT, seq: 6, recovered: true }, metric(6))
    await watch.until(({ seq }) => seq === 6)
    t.equal(server.connections.length, 2)
  })
  await t.test('before it was told to connect again', async (t) => {
    const server = await startServer(t)
    const { watch } = server.watch()
    const first = await server.connection(0)
    server.say(0, SNAPSHOT, drain(60_000))
    await watch.until(() => true)
    first.socket.close(1012)
    t.equal((await server.connection(1)).url, '/j?after=5&epoch=e1')
  })
})

t.test('[DRAIN-1] the second socket is opened when the hub says, not before', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  await server.connection(0)
  const said = Date.now()
  server.say(0, SNAPSHOT, drain(300))
  await watch.until(() => true)
  await server.connection(1)
  t.ok(Date.now() - said >= 290, `${Date.now() - said} ms`)
})

t.test('a watch that is closed in a drain closes both sockets', async (t) => {
  const server = await startServer(t)
  const { watch, ends } = server.watch()
  const first = await server.connection(0)
  server.say(0, SNAPSHOT, drain())
  const second = await server.connection(1)
  watch.close()
  for (const { socket } of [first, second]) await eventually(() => socket.readyState === socket.CLOSED)
  t.equal(ends.length, 1)
})

t.test('[DRAIN-2] all processes: what the second socket is ahead of is asked for, the first goes on until then', async (t) => {
  const server = await startServer(t)
  const { watch, messages } = server.watchAll()
  const process = {
    process_id: 'p',
    process_type: 'benchmark',
    status: 'running',
    attempt: 1,
    progress: null,
    created_at: 'c',
    epoch: 'e1',
  }
  const list = (seq: number) => ({
    type: 'process_list',
    processes: [{ ...process, started_at: 's', finished_at: null, seq }],
    recent: [],
    timestamp: '',
  })
  const result = (seq: number) => ({
    type: 'process_result',
    process_id: 'p',
    process_type: 'benchmark',
    result: { n: seq },
    timestamp: '',
    seq,
  })
  await server.connection(0)
  server.say(0, list(5), result(6), drain())
  const second = await server.connection(1)
  server.say(0, result(7))
  await watch.until((view) => view.get('p')?.seq === 7)
  // What comes live before the answer is not used: it comes again with it.
  server.say(1, list(9), result(10))
  await eventually(() => second.received.length === 2)
  t.same(second.received[1], { type: 'subscribe', process_id: 'p', after: 7, epoch: 'e1' })
  const snapshot = { ...list(10).processes[0] }
  const subscribed = { type: 'subscribed', process_id: 'p', process: snapshot, seq: 10, epoch: 'e1', recovered: true, timestamp: '' }
  server.say(1, subscribed, result(8), result(9), result(10), result(11))
  const view = await watch.until((view) => view.get('p')?.seq === 11)
  t.same(
    view.get('p')?.results.map(({ n }) => n),
    [6, 7, 8, 9, 10, 11],
  )
  t.same(
    messages.filter(({ type }) => type === 'process_result').map(({ seq }) => seq),
    [6, 7, 8, 9, 10, 11],
  )
})

t.test('[CONN-10] [MSG-3] a token that runs out is renewed on the live socket, once per warning', async (t) => {
  const server = await startServer(t)
  const tokens = ['first', 'second', 'third']
  const { watch } = server.watch({ token: () => tokens.shift() ?? '' })
  const { received } = await server.connection(0)
  server.say(0, SNAPSHOT, expiring('a'))
  await eventually(() => received.length === 2)
  // A hub that warns of the same end has got no newer token.
  server.say(0, expiring('a'), { type: 'authenticated', expires_at: 'b' }, expiring('b'), metric(6))
  await eventually(() => received.length === 3)
  t.same(
    received,
    ['first', 'second', 'third'].map((token) => ({ type: 'auth', token })),
  )
  t.equal(watch.view?.seq, 6)
  t.equal(server.connections.length, 1)
})

t.test('[CONN-10] a token that cannot be had does not end the watch: it goes on until it is closed, and then asks again', async (t) => {
  const server = await startServer(t)
  let asked = 0
  const token = async () => {
    asked += 1
    if (asked === 2) throw new Error('the server of tokens is away')
    return `token ${asked}`
  }
  const { watch, ends } = server.watch({ token })
  const first = await server.connection(0)
  server.say(0, SNAPSHOT, expiring('a'))
  await eventually(() => asked === 2)
  server.say(0, metric(6))
  await watch.until(({ seq }) => seq === 6)
  first.socket.close(4001)
  const { received } = await server.connection(1)
  await eventually(() => received.length === 1)
  t.same(received, [{ type: 'auth', token: 'token 3' }])
  t.same(ends, [])
})

t.test(
  '[DRAIN-1] [DRAIN-2] every client of a node that drains moves to the other one, in the middle of a run, and loses nothing',
  async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor, nodes: 2 })
    const sessions = (node: number) => [...(h.nodes[node]?.hub.server.sessions ?? [])]
    const id = await h.submit()
    const { job, complete } = await stage.play(id)
    let node = 0
    const crowd = Array.from({ length: 20 }, () => new Watcher(h, id, () => node))
    const all = new ProcessesWatcher(h, () => node)
    await Promise.all([...crowd.map(({ watch }) => watch.until(() => true)), all.watch.until((view) => view.has(id))])
    let isOver = false
    const reporting = (async () => {
      for (let i = 0; !isOver || i < 100; i += 1) {
        job.metric(`m${i % 100}`, i, 'Hz')
        await sleep(2) // the rhythm of the job; nothing is waited for
      }
    })()
    node = 1
    for (const [i, session] of sessions(0).entries()) session.drain(i * 20, 5000)
    await eventually(() => sessions(0).length === 0 && sessions(1).length === 21)
    isOver = true
    await reporting
    await job.flush()
    complete()
    await Promise.all(crowd.map(({ watch }) => watch.finished()))
    await all.watch.until((view) => (view.get(id)?.final ?? null) !== null)
    const page = await h.nodes[0]?.hub.parts.store.history(id, 0, 1000)
    const logged = page?.entries.map(({ seq }) => seq) ?? []
    t.ok(logged.length > 100, `${logged.length} durable entries`)
    for (const { persisted, since, connects } of crowd) {
      t.same(
        persisted,
        logged.filter((seq) => seq > since),
      )
      t.equal(connects, 2)
    }
    t.equal(all.connects, 2)
    t.same(h.faults, [])
  },
)

t.test('[CONN-10] a watch outlives its token in the middle of a run, on one socket, without a gap', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { EXPIRY_WARNING_MS: '1500', EXPIRY_GRACE_MS: '100' } })
  const id = await h.submit()
  const { job, complete } = await stage.play(id)
  const watcher = new Watcher(h, id, () => 0, 4)
  const all = new ProcessesWatcher(h, () => 0, 'alice', 4)
  await Promise.all([watcher.watch.until(() => true), all.watch.until((view) => view.has(id))])
  const end = Date.now() + 5500
  for (let i = 0; Date.now() < end; i += 1) {
    job.metric(`m${i}`, i, 'Hz')
    await sleep(50) // the rhythm of the job; nothing is waited for
  }
  complete()
  const view = await watcher.watch.finished()
  t.ok(Object.keys(view.metrics).length > 10)
  await all.watch.until((processes) => (processes.get(id)?.final ?? null) !== null)
  t.same([watcher.connects, all.connects], [1, 1])
})
