import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import net, { type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What an attacker has: an address of their own, the hub's, and the token of an ordinary user. */
export interface Attacker {
  readonly from: string
  readonly port: number
  readonly token: string
  readonly signal: AbortSignal
  /** Counts an outcome: an HTTP status, or why a connection ended. */
  count(outcome: string): void
}

/** Runs until its signal is aborted. `strength` is how much of it goes on at once. */
export type Attack = (attacker: Attacker, strength: number) => Promise<void>

const many = (count: number, item: string) => Array(count).fill(item).join()
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
/** A request that does not get on is cut within 20 s; the rest is for a busy machine. */
const CUT_WITHIN_MS = 30_000
/** Between the first sockets: 166 in a second. */
const SPREAD_MS = 6
/** How long an attacker waits whose socket was refused: six thousand of them still ask a thousand times a second. */
const REFUSED_PAUSE_MS = 5000
const UPGRADE_KEY = 'AAAAAAAAAAAAAAAAAAAAAA=='

const BODIES: readonly (readonly [path: string, body: string])[] = [
  ['/api/benchmark', `{"models":[${many(32_000, '0')}]}`],
  ['/api/benchmark', `{"models":[${many(21_000, '""')}]}`],
  ['/api/benchmark', `{"models":[${many(16_000, '"a"')}]}`],
  ['/api/benchmark', `{"models":["local/ngram"],"context_tiers":[${many(32_000, '0')}]}`],
  ['/api/benchmark', `{"models":${nested(15_000)}}`],
  ['/api/v2/optimizations', `{"base":{"x":${nested(3000)}},"variables":[],"objectives":[]}`],
  ['/api/v2/optimizations', `{"variables":[${many(8000, '{"a":1}')}],"objectives":[]}`],
  ['/api/v2/runs', `{"input":{${Array.from({ length: 5000 }, (_, i) => `"f${i}":${i}`).join()}}}`],
  ['/api/processes', `{"process_type":"beacon","input":${nested(30_000)}}`],
  ['/api/processes', `{"process_type":"beacon","input":{"results":[${many(30_000, '1')}]}}`],
]

const GARBAGE = [
  'GET / HTTP/9.9\r\n\r\n',
  'POST /api/v2/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'b'.repeat(20_000)}\r\n\r\n`,
  '\u0016\u0003\u0001\u0002\u0000\u0001',
  'BREW /coffee HTTP/1.1\r\nHost: x\r\n\r\n',
  'DELETE /api/v2/runs/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
]

/** Sends messages in fragments of one byte that never end, over sockets without a token. */
const fragments: Attack = (attacker, strength) =>
  loops(attacker, strength, SPREAD_MS, async () => {
    const socket = await upgraded(attacker, '/ws')
    if (!socket) return void (await sleep(REFUSED_PAUSE_MS))
    const fragment = (opcode: number) => Buffer.from([opcode, 129, 0, 0, 0, 0, 97]) // not final, masked with zeros
    socket.write(Buffer.concat([fragment(1), ...Array(16_000).fill(fragment(0))]))
    await ended(socket, 10_000, attacker.signal)
  })

/** Sends bodies that are within the limit of bytes, and expensive to refuse. */
const bodies: Attack = (attacker, strength) => {
  let next = 0
  return loops(attacker, strength, 1, async () => {
    const [path, body] = BODIES[next++ % BODIES.length] ?? ['', '']
    await call(attacker, 'POST', path, body)
  })
}

/** Promises bodies that never come, half of them without a token. */
const slowBodies: Attack = (attacker, strength) =>
  loops(attacker, strength, 1, async (i) => {
    const socket = connect(attacker)
    const authorization = i % 2 === 0 ? '' : `Authorization: Bearer ${attacker.token}\r\n`
    socket.write(
      `POST /api/v2/runs HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{`,
    )
    const drip = setInterval(() => socket.writable && socket.write(' '), 4000)
    attacker.count(`slow body ${await ended(socket, CUT_WITHIN_MS, attacker.signal)}`)
    clearInterval(drip)
  })

/** Sends headers that never end. */
const slowHeaders: Attack = (attacker, strength) =>
  loops(attacker, strength, 1, async () => {
    const socket = connect(attacker)
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), 4000)
    attacker.count(`slow headers ${await ended(socket, CUT_WITHIN_MS, attacker.signal)}`)
    clearInterval(drip)
  })

/** Connects with a token that is not valid, again as soon as it is closed. */
const badTokens: Attack = (attacker, strength) =>
  loops(attacker, strength, 1, async () => {
    const socket = await upgraded(attacker, '/ws?token=eyJhbGciOiJIUzI1NiJ9.e30.AAAA')
    if (socket) await ended(socket, 10_000, attacker.signal)
  })

/** Asks for what costs most among what is open to all, and for lists of nothing. */
const reads: Attack = (attacker, strength) => {
  const paths = [
    '/docs/openapi.yaml',
    '/docs/openapi.json',
    '/docs/',
    '/docs/asyncapi.json',
    '/metrics',
    '/readyz',
    '/api/processes?status=active&limit=200',
    '/api/processes?owner=alice',
    `/api/processes?token=${'x'.repeat(4000)}`,
    '/api/v2/runs/%ED%A0%80',
    '/api/processes/__proto__/events',
  ]
  let next = 0
  return loops(attacker, strength, 1, () => call(attacker, 'GET', paths[next++ % paths.length] ?? ''))
}

/** Sends what is no HTTP. */
const garbage: Attack = (attacker, strength) => {
  let next = 0
  return loops(attacker, strength, 1, async () => {
    const socket = connect(attacker)
    socket.write(GARBAGE[next++ % GARBAGE.length] ?? '')
    await ended(socket, 15_000, attacker.signal)
  })
}

/** Sends messages over sockets of a user: unknown ids, nested and large ones, too many of them. */
const frames: Attack = (attacker, strength) => {
  const texts = [
    () => `{"type":"subscribe","process_id":"${randomUUID()}"}`,
    () => `{"type":"subscribe","process_id":${nested(10_000)}}`,
    () => `{"type":"cancel_process","process_id":"${'x'.repeat(60_000)}"}`,
    () => `{"type":"subscribe","process_id":"x","after":1e400}`,
    () => '[]',
    () => '\u0000',
  ]
  return loops(attacker, strength, 1, async () => {
    const socket = await upgraded(attacker, `/ws?token=${attacker.token}`)
    if (!socket) return
    for (let i = 0; i < 300 && !socket.destroyed && !attacker.signal.aborted; i += 1) {
      socket.write(frameOf(texts[i % texts.length]?.() ?? ''))
      await sleep(15)
    }
    socket.destroy()
  })
}

/** Follows a job over the path of another kind, and submits with an empty body. */
const wrongDoors: Attack = (attacker, strength) =>
  loops(attacker, strength, 1, async () => {
    const id = `mallory-${randomUUID()}`
    await call(attacker, 'POST', '/api/processes', `{"process_id":"${id}","process_type":"beacon","input":{"results":1,"every_ms":10}}`)
    for (const path of [`/api/v2/ws/runs/${id}`, `/api/v2/ws/optimizations/${id}`]) {
      const socket = await upgraded(attacker, `${path}?token=${attacker.token}`)
      if (socket) await ended(socket, 5000, attacker.signal)
    }
    await call(attacker, 'POST', `/api/processes/${id}/cancel`, '')
    await sleep(500)
  })

export const ATTACKS = { fragments, bodies, slowBodies, slowHeaders, badTokens, reads, garbage, frames, wrongDoors } satisfies Record<
  string,
  Attack
>
export type AttackName = keyof typeof ATTACKS

/** As many loops as the strength says, each begun `spreadMs` after the one before, and of at most one round in 5 ms. */
async function loops({ signal, count }: Attacker, strength: number, spreadMs: number, round: (i: number) => Promise<void>): Promise<void> {
  const loop = async (i: number) => {
    while (!signal.aborted) {
      await round(i).catch((error: NodeJS.ErrnoException) => count(error.code ?? error.message))
      await sleep(5)
    }
  }
  await Promise.all(
    Array.from({ length: strength }, (_, i) =>
      sleep(i * spreadMs, undefined, { signal }).then(
        () => loop(i),
        () => {},
      ),
    ),
  )
}

function connect({ from, port }: Attacker): Socket {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress: from })
  socket.on('error', () => {})
  socket.resume()
  return socket
}

/** A raw WebSocket, or null where the hub refuses it; the status is counted. */
async function upgraded(attacker: Attacker, path: string): Promise<Socket | null> {
  const socket = connect(attacker)
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${UPGRADE_KEY}\r\n\r\n`,
  )
  const head = await new Promise<string>((resolve) => {
    socket.once('data', (data) => resolve(data.toString('latin1', 0, 12)))
    socket.once('close', () => resolve(''))
  })
  const status = head.slice(9)
  attacker.count(status || 'closed before an answer')
  if (status === '101') return socket
  socket.destroy()
  return null
}

/** Whether the hub closed it within the time; the attack may be over before. The socket is gone in any case. */
async function ended(socket: Socket, withinMs: number, signal: AbortSignal): Promise<'cut' | 'NOT cut' | 'left'> {
  const deadline = performance.now() + withinMs
  while (!socket.destroyed && performance.now() < deadline && !signal.aborted) await sleep(50)
  if (socket.destroyed) return 'cut'
  socket.destroy()
  return signal.aborted ? 'left' : 'NOT cut'
}

async function call(attacker: Attacker, method: string, path: string, body?: string): Promise<void> {
  const { from, port, token, count } = attacker
  const status = await new Promise<number>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) }
    const asked = request({ host: '127.0.0.1', port, localAddress: from, method, path, headers, timeout: 60_000 }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer to ${method} ${path.slice(0, 40)} in 60 s`)))
    asked.on('error', reject)
    asked.end(body)
  })
  count(status === 500 ? `500 ${method} ${path.slice(0, 60)}` : `${status}`)
}

/** A text frame of a client, masked with zeros. */
function frameOf(text: string): Buffer {
  const payload = Buffer.from(text)
  const mask = [0, 0, 0, 0]
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, ...mask]), payload])
  return Buffer.concat([Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255, ...mask]), payload])
}
