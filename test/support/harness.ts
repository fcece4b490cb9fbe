import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { definedWork, withBuiltIns } from '../../src/app/define-kind.js'
import { buildHubNode, type HubNode } from '../../src/app/hub-node.js'
import { loadConfig } from '../../src/app/load-config.js'
import { buildWorkerNode, type WorkerNode } from '../../src/app/worker-node.js'
import { signToken } from '../../src/cli/token.js'
import type { Config } from '../../src/config/config.js'
import { loadKindsFile } from '../../src/config/load-kinds-file.js'
import type { Work } from '../../src/worker/implement.js'
import { BUILT_IN_WORK } from '../../workers/built-in-work.js'
import { checkContract } from './contract.js'
import { type RunProcessor, runsBy } from './kinds.js'
import { type RedisPlace, sharedTestRedis } from './redis.js'
import { TestClient } from './test-client.js'

export const SECRET = 'a-secret-that-only-the-tests-know-0123456789'

/** The default titanium bar. */
export const HORN = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }

export interface Node {
  readonly hub: HubNode
  readonly http: string
  readonly ws: string
}

export interface Harness<R extends RedisPlace = RedisPlace> {
  readonly redis: R
  readonly config: Config
  readonly nodes: readonly Node[]
  readonly worker: WorkerNode | undefined
  /** Errors that nodes and worker logged. */
  readonly faults: unknown[]
  /** All log lines of nodes and worker. */
  readonly logged: readonly object[]
  token(sub?: string, options?: { seconds?: number; claims?: Readonly<Record<string, unknown>> }): string
  /** A REST call to a node as a user. */
  call(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, options?: CallOptions): Promise<Answer>
  /** Submits a run and returns its id. */
  submit(options?: { id?: string; sub?: string; input?: object }): Promise<string>
  /** Runs before the nodes are closed. */
  onTeardown(act: () => void): void
  connect(id: string, options?: { node?: number; sub?: string; query?: string; token?: string | null; path?: string }): Promise<TestClient>
}

export interface CallOptions {
  readonly node?: number
  readonly sub?: string
  readonly body?: unknown
  /** null: no token. */
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary answers
  readonly body: any
}

export interface HarnessOptions<R extends RedisPlace = RedisPlace> {
  /** Default: a key prefix of its own in the shared Redis. */
  readonly redis?: R
  readonly nodes?: number
  /** Processor of runs. Default: the built-in solver. `null`: no worker. */
  readonly processor?: RunProcessor | null
  /** Work of further kinds. Default: that of kinds defined in the short form. */
  readonly work?: readonly Work[]
  /** Settings of nodes and worker. Default of `WORKER_KINDS`: `run`. */
  readonly env?: Readonly<Record<string, string>>
  /** Environment of the worker, such as keys of providers. */
  readonly keys?: Readonly<Record<string, string>>
}

/** Real Redis, real hub nodes on free ports and a real worker, all in this process, closed in the teardown. */
export async function startHarness<R extends RedisPlace>(t: Test, options: HarnessOptions<R> & { redis: R }): Promise<Harness<R>>
export async function startHarness(t: Test, options?: HarnessOptions): Promise<Harness>
export async function startHarness(t: Test, options: HarnessOptions = {}): Promise<Harness> {
  const redis = options.redis ?? (await sharedTestRedis())
  const faults: unknown[] = []
  const logged: object[] = []
  const record = (fields: object, text: string) => logged.push({ ...fields, text })
  const log = {
    info: record,
    warn: record,
    error: (fields: object) => faults.push(fields),
  }
  // All sockets of a test come from one address, and most jobs from one user.
  const crowd = {
    MAX_SOCKETS_PER_USER: '1000',
    MAX_UPGRADES_PER_SECOND: '10000',
    MAX_REQUESTS_PER_SECOND: '100000',
    MAX_STRANGER_REQUESTS_PER_SECOND: '100000',
    MAX_PENDING_SOCKETS: '10000',
    MAX_PENDING_SOCKETS_PER_ADDRESS: '10000',
    MAX_ACTIVE_JOBS_PER_USER: '1000',
    MAX_JOBS_PER_HOUR: '100000',
  }
  // Created by the first artifact.
  const artifactsDir = join(tmpdir(), `runcast-test-artifacts-${randomUUID()}`)
  const env = {
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    LINGER_MS: '100',
    DRAIN_MS: '0',
    WORKER_FINISH_MS: '0',
    SWEEP_INTERVAL_MS: '1000',
    // Each report of a metric is an entry.
    METRIC_INTERVAL_MS: '0',
    WORKER_KINDS: 'run',
    ARTIFACTS_DIR: artifactsDir,
    ...crowd,
    ...options.env,
  }
  const own = options.work ?? definedWork()
  const kinds = loadKindsFile(options.env?.KINDS_FILE ?? '', withBuiltIns(own))
  const config = loadConfig(env, [], true, kinds)
  const nodes: Node[] = []
  for (let i = 0; i < (options.nodes ?? 1); i += 1) {
    const hub = await buildHubNode(config, log, kinds)
    const isAt = checkContract(hub.server, kinds)
    await hub.server.listen({ port: 0, host: '127.0.0.1' })
    const { port } = hub.server.server.address() as AddressInfo
    isAt(`127.0.0.1:${port}`)
    nodes.push({ hub, http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` })
  }
  const work = [...BUILT_IN_WORK, ...own, ...(options.processor ? [runsBy(options.processor)] : [])]
  const worker = options.processor === null ? undefined : await buildWorkerNode(config, work, log, { kinds, env: options.keys ?? {} })
  await worker?.start()
  const first: (() => void)[] = []
  t.teardown(async () => {
    for (const act of first) act()
    await worker?.close()
    for (const { hub } of nodes) await hub.close()
    await rm(artifactsDir, { recursive: true, force: true })
  })

  const token: Harness['token'] = (sub = 'alice', { seconds = 600, claims = {} } = {}) => signToken(SECRET, sub, seconds, claims)
  const nodeAt = (index = 0): Node => {
    const node = nodes[index]
    if (!node) throw new RangeError(`there is no node ${index}`)
    return node
  }
  const call: Harness['call'] = async (method, path, { node, sub, body, token: given, headers } = {}) => {
    const bearer = given === undefined ? token(sub) : given
    const response = await fetch(`${nodeAt(node).http}${path}`, {
      method,
      headers: {
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
  }
  return {
    redis,
    config,
    nodes,
    worker,
    faults,
    logged,
    token,
    call,
    submit: async ({ id, sub, input = HORN } = {}) => {
      const answer = await call('POST', '/api/v2/runs', { body: { ...(id && { run_id: id }), input }, ...(sub && { sub }) })
      if (answer.status !== 202) throw new Error(`submit: ${answer.status} ${JSON.stringify(answer.body)}`)
      return answer.body.run_id
    },
    onTeardown: (act) => first.push(act),
    connect: async (id, { node, sub, query = '', token: given, path = 'runs' } = {}) => {
      const bearer = given === undefined ? token(sub) : given
      const parameters = [bearer ? `token=${bearer}` : '', query].filter(Boolean).join('&')
      const client = new TestClient(`${nodeAt(node).ws}/api/v2/ws/${path}/${encodeURIComponent(id)}?${parameters}`)
      first.push(() => client.terminate())
      await client.opened
      return client
    },
  }
}
