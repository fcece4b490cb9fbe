import { WebSocket } from 'ws'
import { signToken } from '../src/cli/token.js'
import { watchJob } from '../src/client/watch-job.js'
import { startStack } from '../src/embedded/stack.js'
import { exampleInput } from '../src/kinds/run/example.js'
import { reportDurations } from './report.js'
import { Tab } from './tab.js'

const TRIES = 50
const PORT = 8551

/** Long enough to be cancelled while it solves. */
const LONG = exampleInput(401)

/**
 * `npm run bench:latency`, on an idle stack: time from a submit on one node until a client of the other shows the
 * process, and from a cancel on one node until a client of the other receives `cancelled`.
 */
async function main(): Promise<void> {
  const stack = await startStack({ host: '127.0.0.1', ports: [PORT, PORT + 1], kinds: ['run'], env: { ...process.env, LOG_LEVEL: 'warn' } })
  try {
    const [nodeA = '', nodeB = ''] = stack.nodes
    const token = signToken(stack.jwtSecret, 'bench', 3600)
    await measureShowing(nodeA, nodeB, token)
    const waits: number[] = []
    for (let i = 0; i < TRIES; i += 1) waits.push(await cancelOnce(nodeA, nodeB, token))
    reportDurations('cancel of a solving run, POST on node A to cancelled on node B', waits)
  } finally {
    await stack.stop()
  }
}

/** One client for all runs. Each run starts after the previous one was received, so that a worker is idle. */
async function measureShowing(nodeA: string, nodeB: string, token: string): Promise<void> {
  const tab = await Tab.open(`${nodeB.replace('http', 'ws')}/ws?token=${token}`)
  const waits: Record<'process_queued' | 'process_started', number[]> = { process_queued: [], process_started: [] }
  for (let i = 0; i < TRIES; i += 1) {
    const asked = performance.now()
    const id = await submit(nodeA, token, { ...LONG, sweep: { points: 3 } })
    for (const [type, list] of Object.entries(waits)) list.push((await tab.receivedAt(id, type)) - asked)
    await tab.receivedAt(id, 'process_completed')
  }
  tab.close()
  for (const [type, list] of Object.entries(waits)) reportDurations(`a job of another tab, POST on node A to ${type} on node B`, list)
}

async function cancelOnce(nodeA: string, nodeB: string, token: string): Promise<number> {
  const id = await submit(nodeA, token, LONG)
  const watch = watchJob({ url: `${nodeB.replace('http', 'ws')}/api/v2/ws/runs/${id}`, token: () => token, WebSocket })
  await watch.until(({ status, phase }) => status === 'running' && phase === 'solving')
  const asked = performance.now()
  const answer = post(nodeA, token, `/${id}/cancel`)
  const { status } = await watch.finished()
  const waited = performance.now() - asked
  watch.close()
  if ((await answer).status !== 202 || status !== 'cancelled') throw new Error(`the run ended ${status}`)
  return waited
}

async function submit(node: string, token: string, input: object): Promise<string> {
  const answer = await post(node, token, '', { input })
  if (answer.status !== 202) throw new Error(`the submit was rejected: ${await answer.text()}`)
  return ((await answer.json()) as { run_id: string }).run_id
}

function post(node: string, token: string, path: string, body?: object): Promise<Response> {
  return fetch(`${node}/api/v2/runs${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
}

await main()
