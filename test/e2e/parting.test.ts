import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'

const SENDERS = 16

/** A submit of a run, whose body is still to be sent. */
function beginSubmit(url: string, token: string, agent?: Agent): ClientRequest {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return request(`${url}/api/v2/runs`, { method: 'POST', headers, ...(agent && { agent }) })
}

async function answerOf(submit: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(submit, 'response')) as [IncomingMessage]
  response.resume()
  return response
}

t.test(
  '[DRAIN-4] SIGTERM while submits go on: whoever heeds /readyz has each of them answered, and what is under way is answered too',
  async (t) => {
    const h = await startHarness(t, { env: { MAX_WAITING_JOBS_PER_USER: '9000', MAX_JOBS_PER_HOUR: '100000' } })
    const settings = { DRAIN_MS: '10000', DRAIN_MIN_MS: '1500', MAX_WAITING_JOBS_PER_USER: '9000', MAX_JOBS_PER_HOUR: '100000' }
    const { child, ws } = await startHub(t, h, settings)
    const url = ws.replace('ws:', 'http:')
    const token = h.token()
    const body = JSON.stringify({ input: HORN })

    // As a load balancer does: it asks all the time, and sends nothing new from the first look on that fails.
    let isReady = true
    const answers: (number | string)[] = []
    const agent = new Agent({ keepAlive: true, maxSockets: SENDERS })
    t.teardown(() => agent.destroy())
    const send = async () => {
      while (isReady) {
        const submit = beginSubmit(url, token, agent)
        submit.end(body)
        answers.push(
          await answerOf(submit).then(
            ({ statusCode = 0 }) => statusCode,
            (error) => error.code,
          ),
        )
      }
    }
    const senders = Array.from({ length: SENDERS }, send)
    await eventually(() => answers.length > 5 * SENDERS)
    // Its body comes only when the door is closed.
    const late = beginSubmit(url, token)
    late.write(body.slice(0, 10))
    await once(late, 'socket')

    // One that never ends holds nobody up.
    const endless = beginSubmit(url, token)
    endless.write(body.slice(0, 10))
    endless.on('error', () => {})
    await once(endless, 'socket')

    child.kill('SIGTERM')
    const ended = once(child, 'exit')
    await eventually(async () => (await fetch(`${url}/readyz`)).status === 503)
    isReady = false
    const { headers } = await fetch(`${url}/livez`)
    t.equal(headers.get('connection'), 'close', 'a connection ends with its answer')
    await Promise.all(senders)
    t.same(
      answers.filter((answer) => answer !== 202),
      [],
      `${answers.length} submits, each answered`,
    )
    await eventually(async () =>
      fetch(`${url}/livez`).then(
        () => false,
        ({ cause }) => cause.code === 'ECONNREFUSED',
      ),
    )
    late.end(body.slice(10))
    t.equal((await answerOf(late)).statusCode, 202)
    t.same(await ended, [0, null])
  },
)

const UPGRADE = [
  'GET /ws HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  '\r\n',
].join('\r\n')

/** Asks for a socket and leaves with the answer: its status, or why there was none. */
function knock(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(UPGRADE))
    socket.once('data', (answer) => {
      resolve(/^HTTP\/1\.1 (\d+)/.exec(String(answer))?.[1] ?? 'no status')
      socket.destroy()
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('closed'))
  })
}

t.test('[DRAIN-4] clients that ask for sockets until the door is closed hold nobody up', async (t) => {
  const h = await startHarness(t, { processor: null })
  const { child, ws } = await startHub(t, h, { DRAIN_MS: '1000', MAX_UPGRADES_PER_SECOND: '100000' })
  const port = Number(new URL(ws).port)
  const answers = new Set<string>()
  const insist = async () => {
    while (!answers.has('ECONNREFUSED')) answers.add(await knock(port))
  }
  await eventually(async () => (await knock(port)) === '101')
  const clients = Array.from({ length: 2 * SENDERS }, insist)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  await Promise.all(clients)
  t.ok(answers.has('503'))
})
