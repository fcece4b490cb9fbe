import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 10
const SILENCE_MS = 30_000

/** A server that has been started. */
export interface StartedRedis {
  readonly port: number
  readonly pid: number
  readonly password: string | undefined
}

/**
 * Resolves once the Redis on this port is the process `pid` and answers PING. Another process on the port does not
 * count. Loading a large data folder may take any time; it rejects after 30 s without an answer from `pid`. It also
 * resolves when `signal` is aborted.
 */
export async function redisReady({ port, pid, password }: StartedRedis, signal: AbortSignal): Promise<void> {
  let lastAnswerAt = performance.now()
  while (!signal.aborted) {
    const answer = await ask(port, password)
    if (answer.includes(`process_id:${pid}\r\n`)) {
      if (answer.includes('+PONG')) return
      lastAnswerAt = performance.now()
    }
    if (performance.now() - lastAnswerAt > SILENCE_MS) throw new Error(`redis-server (pid ${pid}) does not answer on port ${port}`)
    await sleep(POLL_MS)
  }
}

/** All replies of the server to a few commands, the last of which closes the connection. Empty if nobody listens. */
function ask(port: number, password: string | undefined): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 })
    socket.setEncoding('utf8').write(`${password === undefined ? '' : `AUTH ${password}\r\n`}INFO server\r\nPING\r\nQUIT\r\n`)
    socket.on('timeout', () => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}
