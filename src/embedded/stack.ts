import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type RedisServer, startRedisServer } from './redis-server.js'

export interface StackOptions {
  readonly host: string
  /** One hub each. */
  readonly ports: readonly number[]
  /** A Redis to use; without it an embedded one is started. */
  readonly redisUrl?: string
  /** Random without it. */
  readonly jwtSecret?: string
  /** Kinds of jobs: one worker process each, so that none of them slows what another one measures. */
  readonly kinds: readonly string[]
  /** Where the embedded Redis keeps its data; without it nothing is kept. */
  readonly dataDir?: string
  /** Settings for the processes, beside those that the stack sets itself. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Two hubs, a worker of each kind and Redis on one machine, each its own process: the distributed system in small, nothing in it mocked. */
export interface Stack {
  /** Base URL of each hub. */
  readonly nodes: readonly string[]
  readonly redisUrl: string
  readonly jwtSecret: string
  /** Rejects when a process of the stack ends by itself. */
  readonly broken: Promise<never>
  /** Ends the workers (they hand their jobs back), then the hubs, then Redis. Leaves no process. */
  stop(): Promise<void>
}

const READY_TIMEOUT_MS = 30_000
const POLL_MS = 50

/** Starts the stack and resolves once every hub is ready, its workers connected. Rejects, and leaves no process, when it cannot. */
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
    // Its hubs end together, so there is nowhere to move to.
    DRAIN_MS: '0',
    // Nor another worker to wait for: Ctrl-C ends at once, and the next start goes on.
    WORKER_FINISH_MS: '0',
    ...options.env,
    REDIS_URL: redisUrl,
    JWT_SECRET: jwtSecret,
    // Their content is what stands above.
    REDIS_URL_FILE: '',
    JWT_SECRET_FILE: '',
    HOST: options.host,
    // One port for all of them could be had by one of them only.
    METRICS_PORT: '0',
    READY_NEEDS_WORKER: 'yes',
    WORKER_KINDS: options.kinds.join(),
  }
  const hubs = options.ports.map((port) => start('../main.js', `hub on port ${port}`, { ...env, PORT: String(port) }))
  // A worker checks no token: a program that it runs shall not find the secret, and sign itself one.
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

/** A host to listen on as a URL has it: an IPv6 address in brackets; for all addresses the one of this machine. */
export function hostInUrl(host: string): string {
  if (host === '::') return '[::1]'
  return isIPv6(host) ? `[${host}]` : host
}

interface Started {
  readonly child: ChildProcess
  /** Resolves with a sentence when the process has ended. */
  readonly ended: Promise<string>
}

/** In a process group of its own: Ctrl-C reaches the parent alone, which ends them in order. When the parent dies, the closed channel ends them. */
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
    if (performance.now() > deadline)
      throw new Error(`${node} was not ready in time: ${response ? await response.text() : 'it does not answer'}`)
    await response?.text()
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
