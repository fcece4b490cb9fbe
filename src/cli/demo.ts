import { WebSocket } from 'ws'
import { loadKinds } from '../app/load-kinds.js'
import { runMain } from '../app/process.js'
import { watchJob } from '../client/watch-job.js'
import { loadConfig } from '../config/config.js'
import { type Stack, startStack } from '../embedded/stack.js'
import { exampleInput } from '../kinds/run/example.js'
import { ProgressDisplay } from './progress-display.js'
import { signToken } from './token.js'

/**
 * `npm run demo`: a real solver run, submitted to one hub and watched on the other. Exit code 0 only if it completed.
 */
async function main(): Promise<void> {
  const { kinds } = await loadKinds(process.env)
  const config = loadConfig(process.env, [], true, kinds)
  process.stdout.write('Starting Redis, two hubs and a worker …\n')
  const stack = await startStack({
    host: config.HOST,
    ports: [config.PORT, config.PORT + 1],
    kinds: ['run'],
    ...(config.REDIS_URL !== '' && { redisUrl: config.REDIS_URL }),
    ...(config.JWT_SECRET !== '' && { jwtSecret: config.JWT_SECRET }),
    env: { LOG_LEVEL: 'warn', ...process.env },
  })
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => reject(new Error('Interrupted.')))
  })
  try {
    await Promise.race([run(stack), stack.broken, interrupted])
  } finally {
    await stack.stop()
  }
}

async function run(stack: Stack): Promise<void> {
  const [nodeA = '', nodeB = ''] = stack.nodes
  const token = signToken(stack.jwtSecret, 'demo', 600)
  const response = await fetch(`${nodeA}/api/v2/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input: exampleInput(201) }),
  })
  if (response.status !== 202) throw new Error(`The run was not accepted: ${await response.text()}`)
  const { run_id: id } = (await response.json()) as { run_id: string }
  process.stdout.write(`Run ${id} submitted to ${nodeA}, watched on ${nodeB}\n\n`)

  const display = new ProgressDisplay(process.stdout)
  const url = `${nodeB.replace('http', 'ws')}/api/v2/ws/runs/${id}`
  const watch = watchJob({ url, token: () => token, WebSocket, onMessage: (message, view) => display.show(message, view) })
  const { status, final } = await watch.finished()
  watch.close()
  display.finish(final)
  if (status !== 'completed') throw new Error(`The run ended with status ${status}.`)
}

await runMain(main)
