import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { signToken } from '../../src/cli/token.js'
import { type Answer, SECRET } from './harness.js'
import { startHub } from './hub-process.js'
import { startTestRedis, type TestRedis } from './redis.js'
import { TestClient } from './test-client.js'
import { startWorkerProcess } from './worker-process.js'

/** Modules that define kinds: the example, as it stands, and those of the tests. */
export const MODULES = {
  example: fileURLToPath(new URL('../../../examples/own-kind/kinds.js', import.meta.url)),
  tests: fileURLToPath(new URL('./own-kinds.js', import.meta.url)),
}

export interface OwnStackOptions {
  /** Paths, with commas between. */
  readonly modules: string
  /** Kinds that the worker takes; without it all that are known. */
  readonly kinds?: string
  readonly hubs?: number
  /** Settings of hubs and worker. */
  readonly env?: Readonly<Record<string, string>>
}

/** Hubs and a worker with kinds of their own, each a process, on a real Redis. */
export interface OwnStack {
  readonly redis: TestRedis
  readonly worker: ChildProcess
  /** A REST call to a hub. */
  call(method: 'GET' | 'POST', path: string, body?: object, hub?: number): Promise<Answer>
  /** A socket at a path of a hub, open. */
  connect(path: string, hub?: number): Promise<TestClient>
}

export async function startOwnStack(t: Test, { modules, kinds = '', hubs: count = 1, env }: OwnStackOptions): Promise<OwnStack> {
  const redis = await startTestRedis(t)
  const settings = { KINDS_MODULES: modules, WORKER_KINDS: kinds, DRAIN_MS: '0', WORKER_FINISH_MS: '0', ...env }
  const worker = startWorkerProcess(t, { redis }, settings)
  const hubs = await Promise.all(Array.from({ length: count }, () => startHub(t, { redis }, { ...settings, READY_NEEDS_WORKER: 'yes' })))
  const token = signToken(SECRET, 'alice', 600)
  const base = (hub: number) => hubs[hub]?.ws ?? ''
  return {
    redis,
    worker,
    call: async (method, path, body, hub = 0) => {
      const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
      const response = await fetch(`${base(hub).replace('ws', 'http')}${path}`, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      })
      return { status: response.status, headers: response.headers, body: await response.json() }
    },
    connect: async (path, hub = 0) => {
      const client = new TestClient(`${base(hub)}${path}?token=${token}`)
      t.teardown(() => client.terminate())
      await client.opened
      return client
    },
  }
}
