import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { openEventStream, type SseTransport } from '../../src/http/transports/sse-transport.js'
import { buildFrame, type Frame } from '../../src/hub/frame.js'
import { eventually } from '../support/eventually.js'

/** A stream as the server has it, and the client's socket with all that came over it, undecoded. */
interface Stream {
  readonly transport: SseTransport
  readonly socket: Socket
  readonly came: () => string
  /** Without head, chunk sizes and the line about reconnects. */
  readonly events: () => string
  isGone: boolean
}

/** A real server on which each request becomes a stream. */
async function startServer(t: Test): Promise<{ port: number; open: (options?: { http?: string; paused?: boolean }) => Promise<Stream> }> {
  const app = Fastify({ forceCloseConnections: true })
  const transports: [SseTransport, () => boolean][] = []
  app.addHook('onRequest', async (_request, reply) => void reply.header('access-control-allow-origin', 'https://example.org'))
  app.get('/', (_request, reply) => {
    void reply.header('content-type', 'application/json').header('x-list', ['a', 'b'])
    const transport = openEventStream(reply)
    let isGone = false
    reply.raw.once('close', () => {
      isGone = true
    })
    transports.push([transport, () => isGone])
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const open = async ({ http = '1.1', paused = false } = {}): Promise<Stream> => {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    await once(socket, 'connect')
    const index = transports.length
    socket.write(`GET / HTTP/${http}\r\nHost: localhost\r\n\r\n`)
    const [transport, isGone] = await eventually(() => transports[index])
    const came = () => Buffer.concat(chunks).toString()
    await eventually(() => /retry: \d+\n\n/.test(came()))
    if (paused) socket.pause()
    const events = () =>
      came()
        .replace(/^[\s\S]*?\r\n\r\n/, '')
        .replace(/\r\n[0-9a-f]+\r\n|^[0-9a-f]+\r\n|\r\n$/g, '')
        .replace(/^retry: \d+\n\n/, '')
    return {
      transport,
      socket,
      came,
      events,
      get isGone() {
        return isGone()
      },
    }
  }
  return { port, open }
}

const snapshot = (seq: number, epoch: string) => buildFrame({ type: 'status', seq }, { seq, epoch })
const entry = (seq: number, message: object = {}) => buildFrame({ type: 'progress', seq, ...message }, { seq })

/** Frames that no socket buffer takes. */
const BIG: readonly Frame[] = Array.from({ length: 64 }, (_, i) => entry(i, { text: 'x'.repeat(256 * 1024) }))

t.test('[SSE-1] [SSE-2] the head is one for streams, keeps what hooks have set, and comes before any message', async (t) => {
  const { open } = await startServer(t)
  const { came } = await open()
  const [head = ''] = came().split('\r\n\r\n')
  t.match(head, /^HTTP\/1\.1 200 OK\r\n/)
  for (const line of [
    'content-type: text/event-stream; charset=utf-8',
    'cache-control: no-cache, no-transform',
    'x-accel-buffering: no',
    'access-control-allow-origin: https://example.org',
    'x-list: a',
    'x-list: b',
    'Connection: keep-alive',
  ]) {
    t.ok(head.split('\r\n').includes(line), line)
  }
  t.notMatch(head, /content-length/i)
  const [, retry] = /retry: (\d+)\n\n/.exec(came()) ?? []
  t.ok(Number(retry) >= 500 && Number(retry) <= 2000)
})

t.test('[SSE-3] entries have an id of epoch and seq, snapshots and answers have none', async (t) => {
  const { open } = await startServer(t)
  const [one, other] = [await open(), await open()]
  const shared = entry(4)
  one.transport.send([snapshot(3, 'abc.def'), shared])
  one.transport.send([buildFrame({ type: 'pong' })])
  one.transport.send([snapshot(1, 'second.epoch')])
  one.transport.send([entry(2)])
  other.transport.send([entry(9), snapshot(3, 'another'), shared])
  const expected = [
    'data: {"type":"status","seq":3}\n\n',
    'id: abc.def:4\ndata: {"type":"progress","seq":4}\n\n',
    'data: {"type":"pong"}\n\n',
    'data: {"type":"status","seq":1}\n\n',
    'id: second.epoch:2\ndata: {"type":"progress","seq":2}\n\n',
  ]
  await eventually(() => one.events().length >= expected.join('').length)
  t.equal(one.events(), expected.join(''))
  const others =
    'data: {"type":"progress","seq":9}\n\ndata: {"type":"status","seq":3}\n\nid: another:4\ndata: {"type":"progress","seq":4}\n\n'
  await eventually(() => other.events().length >= others.length)
  t.equal(other.events(), others, 'a frame that two clients share has the epoch of each; without a snapshot there is no id')
})

t.test('[SSE-2] what is sent at once leaves in one write, whatever characters are in it', async (t) => {
  const { open } = await startServer(t)
  const { transport, came, events } = await open()
  const text = 'größer 20 µm – 漢字 🎺 \u2028 "quoted" \\n \r\n'
  transport.send([entry(1, { text }), entry(2), entry(3)])
  await eventually(() => events().includes('"seq":3'))
  const chunks = came().split('\r\n\r\n').slice(1).join('\r\n\r\n')
  const sizes = [...chunks.matchAll(/(?:^|\r\n)([0-9a-f]+)\r\n/g)].map(([, size = '']) => Number.parseInt(size, 16))
  t.equal(sizes.length, 2, 'one chunk for the line about reconnects, one for the three events')
  t.equal(sizes[1], Buffer.byteLength(events()))
  const [first = ''] = events().split('\n\n')
  t.equal(JSON.parse(first.replace(/^data: /, '')).text, text)
  t.equal(events().split('\n\n').length, 4)
})

t.test('[SLOW-2] a peer that does not read congests the stream; when it reads again that is told, and nothing is lost', async (t) => {
  const { open } = await startServer(t)
  const slow = await open({ paused: true })
  let [drains, alive] = [0, 0]
  slow.transport.onDrain = () => {
    drains += 1
  }
  slow.transport.onAlive = () => {
    alive += 1
  }
  t.notOk(slow.transport.congested)
  t.equal(slow.transport.bufferedBytes, 0)
  slow.transport.send(BIG)
  await eventually(() => slow.transport.congested && slow.transport.bufferedBytes > 0)
  slow.transport.ping()
  t.same([drains, alive], [0, 0], 'a heartbeat that did not leave is no sign of life')
  slow.socket.resume()
  await eventually(() => drains > 0)
  t.notOk(slow.transport.congested)
  await eventually(() => alive > 1)
  await eventually(() => slow.transport.bufferedBytes === 0 && slow.events().endsWith('event: heartbeat\ndata: {"type":"heartbeat"}\n\n'))
  t.equal([...slow.events().matchAll(/^data: \{"type":"(?!heartbeat)/gm)].length, BIG.length)
})

t.test('[SSE-4] a heartbeat is an event that a page sees, and a sign of life once it has left', async (t) => {
  const { open } = await startServer(t)
  const { transport, events } = await open()
  let alive = 0
  transport.onAlive = () => {
    alive += 1
  }
  transport.ping()
  await eventually(() => alive === 1)
  await eventually(() => events() === 'event: heartbeat\ndata: {"type":"heartbeat"}\n\n')
  t.pass()
})

t.test('[SSE-5] a close says why and whether to come back, then the stream ends and nothing follows', async (t) => {
  const { open } = await startServer(t)
  const cases = [
    ['restart', undefined, { type: 'close', code: 1012, name: 'restart', reason: 'This server is stopping; reconnect.', reconnect: true }],
    ['expired', 'Zu spät.', { type: 'close', code: 4001, name: 'expired', reason: 'Zu spät.', reconnect: false }],
  ] as const
  for (const [code, detail, said] of cases) {
    const stream = await open()
    stream.transport.send([entry(1)])
    stream.transport.close(code, detail)
    stream.transport.close('internal')
    stream.transport.send([entry(2)])
    stream.transport.ping()
    await eventually(() => stream.isGone)
    const ended = `data: {"type":"progress","seq":1}\n\nevent: close\ndata: ${JSON.stringify(said)}\n\n`
    await eventually(() => stream.came().endsWith('0\r\n\r\n'))
    t.equal(stream.events().replace(/\r\n0\r\n\r?$/, ''), ended)
    stream.transport.terminate()
  }
})

t.test('[SSE-5] the connection is kept for the next request; one of HTTP/1.0 is closed', async (t) => {
  const { open } = await startServer(t)
  const kept = await open()
  kept.transport.close('done')
  await eventually(() => kept.came().endsWith('0\r\n\r\n'))
  kept.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually(() => kept.came().match(/HTTP\/1\.1 200 OK/g)?.length === 2)
  const old = await open({ http: '1.0' })
  const ended = once(old.socket, 'close')
  old.transport.send([entry(1)])
  old.transport.close('done')
  await ended
  t.match(old.came(), /\r\n\r\nretry: \d+\n\ndata: \{"type":"progress","seq":1\}\n\nevent: close\n/, 'without chunks')
})

t.test('[SLOW-3] a peer that leaves, or is left, under backpressure keeps nothing alive', async (t) => {
  const { open } = await startServer(t)
  const leaves = await open({ paused: true })
  leaves.transport.send(BIG)
  await eventually(() => leaves.transport.congested)
  leaves.socket.destroy()
  await eventually(() => leaves.isGone)
  leaves.transport.send(BIG)
  leaves.transport.ping()
  leaves.transport.close('internal')
  leaves.transport.terminate()
  await eventually(() => leaves.transport.bufferedBytes === 0)

  const deaf = await open({ paused: true })
  deaf.transport.send(BIG)
  await eventually(() => deaf.transport.congested)
  deaf.transport.terminate()
  await eventually(() => deaf.isGone)
  t.equal(deaf.transport.bufferedBytes, 0)
})

t.test('[SSE-5] a peer that does not read the end of its stream is left after a while', async (t) => {
  const { open } = await startServer(t)
  const deaf = await open({ paused: true })
  deaf.transport.send(BIG)
  await eventually(() => deaf.transport.congested)
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  deaf.transport.close('restart')
  mock.timers.tick(4999)
  await setImmediate()
  t.notOk(deaf.isGone)
  mock.timers.tick(1)
  await eventually(() => {
    if (!deaf.isGone) mock.timers.tick(5000) // where the kernel took some bytes of it meanwhile
    return deaf.isGone
  })
  t.pass()
})
