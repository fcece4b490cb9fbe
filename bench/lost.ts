import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { signToken } from '../src/cli/token.js'
import { watchJob } from '../src/client/watch-job.js'
import { startRedisServer } from '../src/embedded/redis-server.js'
import { exampleInput } from '../src/kinds/run/example.js'
import { startNode } from './node-process.js'
import { reportDurations } from './report.js'
import { Tab } from './tab.js'

const TRIES = 3
const BOUND_MS = 30_000

/** Long enough for the worker to be killed while it solves. */
const LONG = exampleInput(401)

/**
 * `npm run bench:lost`, with default settings: time from `kill -9` of the only worker until both sockets have the final
 * message, and until a second worker continues a run. Exit code 1 if the first exceeds 30 s.
 */
async function main(): Promise<void> {
  const redis = await startRedisServer({})
  const env = { REDIS_URL: redis.url, JWT_SECRET: randomBytes(32).toString('hex'), LOG_LEVEL: 'warn', WORKER_KINDS: 'run' }
  const hub = await startNode('../src/main.js', env)
  const token = signToken(env.JWT_SECRET, 'bench', 3600)
  try {
    const waits: number[] = []
    for (let i = 0; i < TRIES; i += 1) waits.push(await loseOnly(hub.host, token, env))
    reportDurations('kill -9 of the only worker, to worker_lost on both sockets', waits)
    if (Math.max(...waits) > BOUND_MS) process.exitCode = 1
    await loseOne(hub.host, token, env)
  } finally {
    await hub.stop()
    await redis.stop()
  }
}

async function loseOnly(host: string, token: string, env: Record<string, string>): Promise<number> {
  const worker = startWorker(env)
  const tab = await Tab.open(`ws://${host}/ws?token=${token}`)
  const { id, watch } = await solving(host, token)
  await kill(worker)
  const killed = performance.now()
  const { final } = await watch.finished()
  const failedAt = await tab.receivedAt(id, 'process_failed')
  if (final?.type !== 'error' || final.code !== 'worker_lost') throw new Error(`the run ended ${JSON.stringify(final)}`)
  const waited = Math.max(performance.now(), failedAt) - killed
  watch.close()
  tab.close()
  return waited
}

/** Two workers, one run: the worker that computes it is killed. */
async function loseOne(host: string, token: string, env: Record<string, string>): Promise<void> {
  const first = startWorker(env)
  const { watch } = await solving(host, token)
  const second = startWorker(env)
  await kill(first)
  const killed = performance.now()
  const seconds = () => `${((performance.now() - killed) / 1000).toFixed(1)} s`
  await watch.until(({ attempt }) => attempt === 2)
  process.stdout.write(`kill -9 with another worker there: attempt 2 after ${seconds()}`)
  const { status, final } = await watch.finished()
  process.stdout.write(`, ${status} after ${seconds()}, attempts ${final?.attempts}\n`)
  if (status !== 'completed') process.exitCode = 1
  watch.close()
  await kill(second)
}

/** A run that is solving. */
async function solving(host: string, token: string) {
  const answer = await fetch(`http://${host}/api/v2/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input: LONG }),
  })
  if (answer.status !== 202) throw new Error(`the submit was rejected: ${await answer.text()}`)
  const { run_id: id } = (await answer.json()) as { run_id: string }
  const watch = watchJob({ url: `ws://${host}/api/v2/ws/runs/${id}`, token: () => token, WebSocket })
  await watch.until(({ status, phase }) => status === 'running' && phase === 'solving')
  return { id, watch }
}

function startWorker(env: Record<string, string>): ChildProcess {
  const path = fileURLToPath(new URL('../workers/main.js', import.meta.url))
  return fork(path, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

await main()
