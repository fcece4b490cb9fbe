import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { signToken } from '../../src/cli/token.js'
import { type Answer, SECRET } from './harness.js'
import { startHub } from './hub-process.js'
import { type RedisPlace, sharedTestRedis } from './redis.js'
import { TestClient } from './test-client.js'
import { startWorkerProcess } from './worker-process.js'

/** Modules that define kinds: the example and those of the tests. */
export const MODULES = {
  example: fileURLToPath(new URL('../../../examples/own-kind/kinds.js', import.meta.url)),
  tests: fileURLToPath(new URL('./own-kinds.js', import.meta.url)),
}

export interface OwnStackOptions {
  /** Paths, separated by commas. */
  readonly modules: string
  /** Kinds of the worker. Default: all. */
  readonly kinds?: string
  readonly hubs?: number
  /** Settings of hubs and worker. */
  readonly env?: Readonly<Record<string, string>>
}

/** A hub as one user calls it. */
export interface OwnHub {
  /** A REST call. */
  call(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer>
  /** Opens a socket at a path. */
  connect(path: string): Promise<TestClient>
}

/** Hubs and a worker with further kinds, each in its own process, on a real Redis. */
export interface OwnStack extends OwnHub {
  readonly redis: RedisPlace
  readonly worker: ChildProcess
  /** The hubs; the stack itself acts as the first. */
  readonly hubs: readonly OwnHub[]
}

export async function startOwnStack(t: Test, { modules, kinds = '', hubs: count = 1, env }: OwnStackOptions): Promise<OwnStack> {
  const redis = await sharedTestRedis()
  const settings = { KINDS_MODULES: modules, WORKER_KINDS: kinds, DRAIN_MS: '0', WORKER_FINISH_MS: '0', ...env }
  const worker = startWorkerProcess(t, { redis }, settings)
  const ready = { ...settings, READY_NEEDS_WORKER: 'yes' }
  const first = await startOwnHub(t, { redis }, ready)
  const others = await Promise.all(Array.from({ length: count - 1 }, () => startOwnHub(t, { redis }, ready)))
  return { ...first, redis, worker, hubs: [first, ...others] }
}

/** A hub in its own process, as one user calls it. */
export async function startOwnHub(t: Test, { redis }: Pick<OwnStack, 'redis'>, env: Readonly<Record<string, string>>): Promise<OwnHub> {
  const { ws } = await startHub(t, { redis }, env)
  const token = signToken(SECRET, 'alice', 600)
  return {
    call: async (method, path, body) => {
      const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
      const response = await fetch(`${ws.replace('ws', 'http')}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      return { status: response.status, headers: response.headers, body: await response.json() }
    },
    connect: async (path) => {
      const client = new TestClient(`${ws}${path}?token=${token}`)
      t.teardown(() => client.terminate())
      await client.opened
      return client
    },
  }
}
