import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type RedisServer, startRedisServer } from './redis-server.js'

export interface StackOptions {
  readonly host: string
  /** One hub per port. */
  readonly ports: readonly number[]
  /** The Redis to use. Default: an embedded one is started. */
  readonly redisUrl?: string
  /** Default: a random secret. */
  readonly jwtSecret?: string
  /** Kinds of jobs. Each gets its own worker process, so that no kind slows down measurements of another. */
  readonly kinds: readonly string[]
  /** Data folder of the embedded Redis. Without it no data is kept. */
  readonly dataDir?: string
  /** Settings for the processes, in addition to those that the stack sets. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Hubs, one worker per kind and Redis on one machine, each in its own process: the real distributed system, without
 * mocks.
 */
export interface Stack {
  /** Base URL of each hub. */
  readonly nodes: readonly string[]
  readonly redisUrl: string
  readonly jwtSecret: string
  /** Rejects when a process of the stack ends by itself. */
  readonly broken: Promise<never>
  /** Stops the workers (their jobs return to the queue), then the hubs, then Redis. Leaves no process. */
  stop(): Promise<void>
}

const READY_TIMEOUT_MS = 30_000
const POLL_MS = 50

/**
 * Starts the stack and resolves once every hub is ready and its workers are connected. If that fails, it rejects and
 * leaves no process.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const redis: RedisServer | undefined = options.redisUrl
    ? undefined
    : await startRedisServer({
        ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
        password: randomBytes(24).toString('hex'),
      })
  const redisUrl = options.redisUrl ?? redis?.url ?? ''
  const jwtSecret = options.jwtSecret ?? randomBytes(32).toString('base64url')
  const env = {
    // The hubs stop together, so clients have no other node to move to.
    DRAIN_MS: '0',
    // There is no other worker to take the jobs either: Ctrl-C stops at once, and the next start continues them.
    WORKER_FINISH_MS: '0',
    ...options.env,
    REDIS_URL: redisUrl,
    JWT_SECRET: jwtSecret,
    // Their values are set above.
    REDIS_URL_FILE: '',
    JWT_SECRET_FILE: '',
    HOST: options.host,
    // Only one process could listen on a common port.
    METRICS_PORT: '0',
    READY_NEEDS_WORKER: 'yes',
    WORKER_KINDS: options.kinds.join(),
  }
  const hubs = options.ports.map((port) => start('../main.js', `hub on port ${port}`, { ...env, PORT: String(port) }))
  // A worker checks no tokens. A program that it runs must not find the secret and sign tokens with it.
  const workers = options.kinds.map((kind) =>
    start('../../workers/main.js', `worker of kind ${kind}`, { ...env, JWT_SECRET: '', WORKER_KINDS: kind }),
  )
  const processes = [...hubs, ...workers]
  let stopping = false
  const broken = Promise.race(processes.map(({ ended }) => ended)).then((text): Promise<never> => {
    return stopping ? new Promise(() => {}) : Promise.reject(new Error(text))
  })
  broken.catch(() => {})
  const stop = async () => {
    stopping = true
    await Promise.all(workers.map(end))
    await Promise.all(hubs.map(end))
    await redis?.stop()
  }
  const nodes = options.ports.map((port) => `http://${hostInUrl(options.host)}:${port}`)
  try {
    await Promise.race([broken, Promise.all(nodes.map(waitUntilReady))])
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, redisUrl, jwtSecret, broken, stop }
}

/** A listen address as it appears in a URL: an IPv6 address in brackets; loopback for the address of all interfaces. */
export function hostInUrl(host: string): string {
  if (host === '::') return '[::1]'
  return isIPv6(host) ? `[${host}]` : host
}

interface Started {
  readonly child: ChildProcess
  /** Resolves to a sentence when the process has ended. */
  readonly ended: Promise<string>
}

/**
 * In a process group of its own: Ctrl-C reaches only the parent, which stops the processes in order. If the parent
 * dies, the closed channel ends them.
 */
function start(module: string, name: string, env: NodeJS.ProcessEnv): Started {
  const path = fileURLToPath(new URL(module, import.meta.url))
  const child = fork(path, { env, detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const ended = once(child, 'exit').then(([code, signal]) => `The ${name} ended by itself (${signal ?? `exit code ${code}`}).`)
  return { child, ended }
}

async function end({ child, ended }: Started): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  await ended
}

async function waitUntilReady(node: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const response = await fetch(`${node}/readyz`).catch(() => null)
    if (response?.ok) return
    if (performance.now() > deadline) throw new Error(`${node} was not ready in time: ${response ? await response.text() : 'no answer'}`)
    await response?.text()
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
