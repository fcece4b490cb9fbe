import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { ConnectionOptions } from '../../src/client/connection.js'
import { type WatchOptions, watchJob } from '../../src/client/watch-job.js'
import { type WatchProcessesOptions, watchProcesses } from '../../src/client/watch-processes.js'
import { eventually } from './eventually.js'

export const SNAPSHOT = {
  type: 'status',
  run_id: 'j',
  status: 'running',
  attempt: 1,
  stale: false,
  percent: null,
  phase: null,
  message: null,
  elapsed_s: null,
  metrics: {},
  created_at: '2026-01-01T00:00:00.000Z',
  started_at: null,
  finished_at: null,
  seq: 5,
  epoch: 'e1',
  recovered: false,
  timestamp: '2026-01-01T00:00:00.000Z',
}
export const metric = (seq: number, extra: object = {}) => ({
  type: 'metric_update',
  run_id: 'j',
  metric_name: `m${seq}`,
  value: seq,
  unit: 'Hz',
  timestamp: '',
  seq,
  ...extra,
})
export const completed = (seq: number) => ({
  type: 'completed',
  run_id: 'j',
  status: 'completed',
  compute_time_s: 1,
  metrics_summary: {},
  percent: 100,
  timestamp: 'end',
  seq,
})

/** A server that sends exactly what a test scripts, over real sockets. */
export async function startServer(t: Test) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const connections: { url: string; socket: WebSocket; received: unknown[] }[] = []
  server.on('connection', (socket, request) => {
    const connection = { url: request.url ?? '', socket, received: [] as unknown[] }
    socket.on('message', (data: Buffer) => connection.received.push(JSON.parse(data.toString())))
    connections.push(connection)
  })
  t.teardown(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  /** Messages of a watch, and how it ended. */
  const recorder = <M>() => {
    const messages: M[] = []
    const ends: { code: number; reason: string }[] = []
    const options: ConnectionOptions & { onMessage: (message: unknown) => void } = {
      url: `ws://127.0.0.1:${port}/j`,
      token: () => 'a-token',
      WebSocket,
      backoffMs: { first: 1, longest: 5 },
      onMessage: (message) => messages.push(message as M), // M: the messages of this watch
      onEnd: (reason) => ends.push(reason),
    }
    return { messages, ends, options }
  }
  const watch = (given: Partial<WatchOptions> = {}) => {
    const { messages, ends, options } = recorder<{ type: string; seq?: number }>()
    const watch = watchJob({ ...options, ...given })
    t.teardown(() => watch.close())
    return { watch, messages, ends }
  }
  const watchAll = (given: Partial<WatchProcessesOptions> = {}) => {
    const { messages, ends, options } = recorder<{ type: string; seq?: number; process_id?: string }>()
    const watch = watchProcesses({ ...options, ...given })
    t.teardown(() => watch.close())
    return { watch, messages, ends }
  }
  const connection = (index: number) =>
    eventually(() => (connections[index]?.socket.readyState === WebSocket.OPEN ? connections[index] : null))
  return {
    url: `ws://127.0.0.1:${port}/j`,
    connections,
    connection,
    watch,
    watchAll,
    say: (index: number, ...messages: object[]) => {
      for (const message of messages) connections[index]?.socket.send(JSON.stringify(message))
    },
  }
}
