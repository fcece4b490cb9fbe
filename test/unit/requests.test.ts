import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { WebSocketLike } from '../../src/client/hub-socket.js'
import { type ProcessRequest, Requests } from '../../src/client/requests.js'
import { watchProcesses } from '../../src/client/watch-processes.js'

const subscribe = (process_id: string) => ({ type: 'subscribe', process_id })

/** The requests that were sent; time stands still until a test moves it. */
function collect(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const sent: ProcessRequest[] = []
  return { sent, requests: new Requests((request) => sent.push(request)) }
}

t.test('what a watch asks for by itself keeps a pace that hubs take', async (t) => {
  const { sent, requests } = collect(t)
  for (let i = 0; i < 70; i += 1) requests.add(subscribe(`p${i}`))
  t.equal(sent.length, 30)
  mock.timers.tick(1000)
  t.equal(sent.length, 60)
  mock.timers.tick(1000)
  t.same(
    sent.map(({ process_id }) => process_id),
    Array.from({ length: 70 }, (_, i) => `p${i}`),
  )
})

t.test('one request about a process is under way at a time', async (t) => {
  const { sent, requests } = collect(t)
  requests.add(subscribe('p'))
  requests.add(subscribe('p'))
  t.equal(sent.length, 1)
  requests.answered('p')
  requests.add(subscribe('p'))
  t.equal(sent.length, 2)
  requests.replace({ type: 'unsubscribe', process_id: 'p' })
  t.equal(sent.at(-1)?.type, 'unsubscribe')
})

t.test('[MSG-5] what was too fast for a hub, or could not be answered now, is asked again', async (t) => {
  const { sent, requests } = collect(t)
  for (const id of ['a', 'b']) requests.add(subscribe(id))
  requests.again('b')
  t.equal(sent.length, 2)
  mock.timers.tick(1000)
  t.same(sent.slice(2), [subscribe('b')])
  requests.again()
  mock.timers.tick(1000)
  t.equal(sent.length, 5)
})

t.test('over another connection nothing is left of it', async (t) => {
  const { sent, requests } = collect(t)
  for (let i = 0; i < 40; i += 1) requests.add(subscribe(`p${i}`))
  requests.clear()
  mock.timers.tick(5000)
  t.equal(sent.length, 30)
  requests.add(subscribe('p0'))
  t.equal(sent.length, 31)
})

/** A connection whose messages a test writes, and what the client has sent over it. */
class ScriptedSocket implements WebSocketLike {
  static last: ScriptedSocket | undefined
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  readonly sent: Record<string, unknown>[] = []

  constructor() {
    ScriptedSocket.last = this
  }

  open(): void {
    this.onopen?.({})
  }

  tell(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {}
}

t.test('[PROC-6] a state that a hub sends by itself replaces no request for lines and files', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const watch = watchProcesses({ url: 'ws://hub/ws', token: () => 'token', WebSocket: ScriptedSocket })
  t.teardown(() => watch.close())
  await new Promise(setImmediate)
  const socket = ScriptedSocket.last
  if (!socket) return t.fail('there is no connection')
  const process = (process_id: string) => {
    const times = { created_at: '2026-01-01T00:00:00Z', started_at: null, finished_at: null }
    return { process_id, process_type: 'run', status: 'queued', attempt: 1, stale: false, progress: null, ...times, seq: 1, epoch: 'e' }
  }
  socket.open()
  socket.tell({ type: 'process_list', processes: Array.from({ length: 31 }, (_, i) => process(`p${i}`)), recent: [], timestamp: '' })
  for (let i = 0; i < 31; i += 1) watch.subscribe(`p${i}`, { log: true, artifacts: true })
  const asked = () => socket.sent.filter(({ type }) => type === 'subscribe').map(({ process_id }) => process_id)
  t.equal(asked().length, 30)
  socket.tell({ type: 'subscribed', process_id: 'p30', process: process('p30'), seq: 1, epoch: 'e', recovered: false, timestamp: '' })
  mock.timers.tick(1000)
  t.equal(asked().at(-1), 'p30')
  t.match(socket.sent.at(-1), { log: true, artifacts: true, after: 1, epoch: 'e' })
})
