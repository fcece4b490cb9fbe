import { WebSocket } from 'ws'
import { signToken } from '../src/cli/token.js'
import { watchJob } from '../src/client/watch-job.js'
import { startStack } from '../src/embedded/stack.js'
import { reportDurations } from './report.js'

const TRIES = 50
const PORT = 8551

/** Long enough to be cancelled in the middle of its solving. */
const LONG = {
  material: 'ti-6al-4v',
  profile: 'uniform',
  width_mm: 25,
  height_mm: 126.71,
  thickness_mm: 25,
  mesh: { elements_x: 16, elements_y: 80 },
  sweep: { points: 401 },
}

/** `npm run bench:latency`: how long from asking for a cancel on one node until `cancelled` reaches a watcher on the other, on an idle stack. */
async function main(): Promise<void> {
  const stack = await startStack({ host: '127.0.0.1', ports: [PORT, PORT + 1], kinds: ['run'], env: { ...process.env, LOG_LEVEL: 'warn' } })
  try {
    const [nodeA = '', nodeB = ''] = stack.nodes
    const token = signToken(stack.jwtSecret, 'bench', 3600)
    const waits: number[] = []
    for (let i = 0; i < TRIES; i += 1) waits.push(await cancelOnce(nodeA, nodeB, token))
    reportDurations('cancel of a solving run, POST on node A to cancelled on node B', waits)
  } finally {
    await stack.stop()
  }
}

async function cancelOnce(nodeA: string, nodeB: string, token: string): Promise<number> {
  const post = (path: string, body?: object) =>
    fetch(`${nodeA}/api/v2/runs${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
  const { run_id: id } = (await (await post('', { input: LONG })).json()) as { run_id: string }
  const watch = watchJob({ url: `${nodeB.replace('http', 'ws')}/api/v2/ws/runs/${id}`, token: () => token, WebSocket })
  await watch.until(({ status, phase }) => status === 'running' && phase === 'solving')
  const asked = performance.now()
  const answer = post(`/${id}/cancel`)
  const { status } = await watch.finished()
  const waited = performance.now() - asked
  watch.close()
  if ((await answer).status !== 202 || status !== 'cancelled') throw new Error(`the run ended ${status}`)
  return waited
}

await main()
