import { loadKinds } from '../../app/load-kinds.js'
import { type Config, loadConfig } from '../../config/config.js'
import { readyRedis } from '../../embedded/ready-redis.js'
import { type Stack, startStack } from '../../embedded/stack.js'
import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { signToken } from '../token.js'

const TOKEN_SECONDS = 12 * 3600
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1'])

/** The whole stack on this machine, until Ctrl-C. */
export const start = defineCommand({
  about: 'Runs two hubs, a worker of each kind and Redis on this machine, until Ctrl-C.',
  operands: [],
  options: {},
  notes: [
    'Settings are environment variables: see docs/reference/settings.md. Data is kept in .runcast/data of the working directory (DATA_DIR).',
    'Without REDIS_URL it runs the redis-server or valkey-server on PATH, else a private copy, which it downloads; RUNCAST_NO_INSTALL=1 forbids that.',
    'The container image has no Redis: there it needs REDIS_URL and JWT_SECRET.',
  ],
  run: async () => {
    const { kinds } = await loadKinds(process.env)
    const config = loadConfig(process.env, [], true, kinds)
    if (config.REDIS_URL === '') await readyRedis(process.env.RUNCAST_NO_INSTALL !== '1', (line) => process.stderr.write(`${line}\n`))
    const stack = await startStack({
      host: config.HOST,
      ports: [config.PORT, config.PORT + 1],
      kinds: config.WORKER_KINDS,
      ...(config.REDIS_URL !== '' && { redisUrl: config.REDIS_URL }),
      ...(config.JWT_SECRET !== '' && { jwtSecret: config.JWT_SECRET }),
      dataDir: config.DATA_DIR,
      env: process.env,
    })
    print(stack, config)
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
    })
    try {
      await Promise.race([stopped, stack.broken])
    } finally {
      await stack.stop()
    }
    return EXIT.ok
  },
})

function print(stack: Stack, config: Config): void {
  const isDevelopment = config.REDIS_URL === ''
  for (const node of stack.nodes) process.stdout.write(`hub      ${node}${config.DOCS === 'on' ? `   API reference ${node}/docs` : ''}\n`)
  // A token is printed only if nobody else can use it: on loopback, with a Redis that ends with this process.
  if (isDevelopment && LOOPBACK.has(config.HOST))
    process.stdout.write(`token    ${signToken(stack.jwtSecret, 'developer', TOKEN_SECONDS)}\n`)
  if (isDevelopment) process.stdout.write(`redis    ${stack.redisUrl}\n`)
  process.stdout.write('Ctrl-C stops it.\n')
}
