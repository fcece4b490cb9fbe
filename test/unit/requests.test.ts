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

/** A process as a list has it. */
function listed(process_id: string, seq: number) {
  const times = { created_at: '2026-01-01T00:00:00Z', started_at: null, finished_at: null }
  return { process_id, process_type: 'run', status: 'running', attempt: 1, stale: false, progress: null, ...times, seq, epoch: 'e' }
}

/** A watch of processes, its connection, and the processes that it has asked for. */
async function connected(t: Test, processes: readonly object[]) {
  mock.timers.enable({ apis: ['setTimeout'] })
  const told: number[] = []
  const onMessage = (message: object) => told.push(...('seq' in message && !('process' in message) ? [Number(message.seq)] : []))
  const watch = watchProcesses({ url: 'ws://hub/ws', token: () => 'token', WebSocket: ScriptedSocket, onMessage })
  t.teardown(() => {
    watch.close()
    mock.timers.reset()
  })
  await new Promise(setImmediate)
  const socket = ScriptedSocket.last
  if (!socket) throw new Error('there is no connection')
  socket.open()
  socket.tell({ type: 'process_list', processes, recent: [], timestamp: '' })
  return { watch, socket, told, asked: () => socket.sent.filter(({ type }) => type === 'subscribe') }
}

t.test('[PROC-6] a state that a hub sends by itself replaces no request for lines and files', async (t) => {
  const { watch, socket, asked } = await connected(
    t,
    Array.from({ length: 31 }, (_, i) => listed(`p${i}`, 1)),
  )
  for (let i = 0; i < 31; i += 1) watch.subscribe(`p${i}`, { log: true, artifacts: true })
  t.equal(asked().length, 30)
  socket.tell({ type: 'subscribed', process_id: 'p30', process: listed('p30', 1), seq: 1, epoch: 'e', recovered: false, timestamp: '' })
  mock.timers.tick(1000)
  t.match(asked().at(-1), { process_id: 'p30', log: true, artifacts: true, after: 1, epoch: 'e' })
})

t.test('[POS-9] a state that continues from more than has arrived is not used', async (t) => {
  const { socket, told, asked } = await connected(t, [])
  socket.tell({ type: 'process_list', processes: [listed('p', 3)], recent: [], resync: true, timestamp: '' })
  const state = { type: 'subscribed', process_id: 'p', process: listed('p', 4), seq: 4, epoch: 'e', recovered: true, timestamp: '' }
  const result = (seq: number) => ({ type: 'process_result', process_id: 'p', process_type: 'run', result: {}, timestamp: '', seq })
  socket.tell({ ...state, after: 3, resync: true })
  socket.tell(result(4))
  t.same(told, [])
  mock.timers.tick(1000)
  t.match(asked(), [{ process_id: 'p', after: 0, epoch: 'e' }])
  socket.tell({ ...state, after: 0 })
  for (const seq of [1, 2, 3, 4]) socket.tell(result(seq))
  t.same(told, [1, 2, 3, 4])
})
