import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { HORN, startHarness } from '../helpers/harness.js'
import { startHub } from '../helpers/hub-process.js'

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
