import { loadConfig } from '../config.js'
import { startStack } from '../embedded/stack.js'
import { loadKinds } from '../load-kinds.js'
import { runMain } from '../process.js'
import { signToken } from './token.js'

const TOKEN_SECONDS = 12 * 3600
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1'])

/** `npm start`: the whole stack on this machine, until Ctrl-C. */
async function main(): Promise<void> {
  await loadKinds(process.env)
  const config = loadConfig(process.env)
  const isDevelopment = config.REDIS_URL === ''
  const stack = await startStack({
    host: config.HOST,
    ports: [config.PORT, config.PORT + 1],
    kinds: config.WORKER_KINDS,
    ...(config.REDIS_URL !== '' && { redisUrl: config.REDIS_URL }),
    ...(config.JWT_SECRET !== '' && { jwtSecret: config.JWT_SECRET }),
    dataDir: config.DATA_DIR,
    env: process.env,
  })
  for (const node of stack.nodes) process.stdout.write(`hub      ${node}   API reference ${node}/docs\n`)
  // A token is printed where nobody else can use it: on loopback, with a Redis that ends with this process.
  if (isDevelopment && LOOPBACK.has(config.HOST))
    process.stdout.write(`token    ${signToken(stack.jwtSecret, 'developer', TOKEN_SECONDS)}\n`)
  if (isDevelopment) process.stdout.write(`redis    ${stack.redisUrl}\n`)
  process.stdout.write('Ctrl-C ends it.\n')
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
  try {
    await Promise.race([stopped, stack.broken])
  } finally {
    await stack.stop()
  }
}

await runMain(main)
