import { WebSocket } from 'ws'
import { loadKinds } from '../app/load-kinds.js'
import { runMain } from '../app/process.js'
import { createClient } from '../client/create-client.js'
import { socketsOf } from '../client/hub-access.js'
import type { JobSnapshot, JobView, LiveMessage } from '../client/job-view.js'
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
  const { id } = await createClient({ url: nodeA, token }).submit('run', exampleInput(201))
  process.stdout.write(`Run ${id} submitted to ${nodeA}, watched on ${nodeB}\n\n`)

  const display = new ProgressDisplay(process.stdout)
  const { url, ...access } = socketsOf({ url: nodeB, token }, WebSocket)
  const onMessage = (message: JobSnapshot | LiveMessage, view: JobView) => display.show(message, view)
  const watch = watchJob({ ...access, url: url(`/api/v2/ws/runs/${id}`), onMessage })
  const { status, final } = await watch.finished()
  watch.close()
  display.finish(final)
  if (status !== 'completed') throw new Error(`The run ended with status ${status}.`)
}

await runMain(main)
