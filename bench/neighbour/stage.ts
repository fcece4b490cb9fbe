import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { signToken } from '../../src/cli/token.js'
import { type RedisServer, startRedisServer } from '../../src/embedded/redis-server.js'
import { exampleInput } from '../../src/kinds/run/example.js'
import { type NodeProcess, startNode } from '../node-process.js'
import { Listener } from './listener.js'
import type { Load } from './load.js'

/** Redis, two hubs and a worker, each a process. */
export class Stage {
  readonly #redis: RedisServer
  readonly #hubs: readonly NodeProcess[]
  readonly #worker: ChildProcess
  readonly #secret: string

  private constructor(redis: RedisServer, hubs: readonly NodeProcess[], worker: ChildProcess, secret: string) {
    this.#redis = redis
    this.#hubs = hubs
    this.#worker = worker
    this.#secret = secret
  }

  static async start(load: Load, concurrency: number): Promise<Stage> {
    const redis = await startRedisServer()
    const secret = randomBytes(32).toString('base64url')
    const env = {
      PATH: process.env.PATH ?? '',
      REDIS_URL: redis.url,
      JWT_SECRET: secret,
      LOG_LEVEL: 'warn',
      WORKER_KINDS: 'run',
      DRAIN_MS: '0',
    }
    const hubs = [await startNode('../src/main.js', env), await startNode('../src/main.js', env)]
    const loud = { LOUD_PER_SECOND: `${load.perSecond}`, LOUD_SECONDS: `${load.seconds}`, WORKER_CONCURRENCY: `${concurrency}` }
    const worker = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), { env: { ...env, ...loud }, execArgv: [] })
    await once(worker, 'message')
    return new Stage(redis, hubs, worker, secret)
  }

  /** Submits a run on one hub and watches it on both. */
  async run(id: string, sub: string, hub: number): Promise<readonly Listener[]> {
    const token = this.#token(sub)
    const response = await fetch(`http://${this.#host(hub)}/api/v2/runs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ run_id: id, input: exampleInput(3) }),
    })
    if (response.status !== 202) throw new Error(`the submit was rejected: ${await response.text()}`)
    await response.text()
    return this.#hubs.map(({ host }) => new Listener(`ws://${host}`, id, token))
  }

  /** Seqs of the persisted entries in the log of a run. */
  async logged(id: string, sub: string): Promise<number[]> {
    const headers = { authorization: `Bearer ${this.#token(sub)}` }
    const response = await fetch(`http://${this.#host(0)}/api/v2/runs/${id}/events?limit=1000`, { headers })
    const { events } = (await response.json()) as { events: { seq: number }[] }
    return events.map(({ seq }) => seq)
  }

  async stop(): Promise<void> {
    const exit = once(this.#worker, 'exit')
    this.#worker.kill('SIGTERM')
    await exit
    await Promise.all(this.#hubs.map((hub) => hub.stop()))
    await this.#redis.stop()
  }

  #token(sub: string): string {
    return signToken(this.#secret, sub, 3600)
  }

  #host(hub: number): string {
    return this.#hubs[hub % this.#hubs.length]?.host ?? ''
  }
}
