import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type NodeProcess, startNode } from '../../bench/node-process.js'
import { signToken } from '../../src/cli/token.js'
import { type RedisServer, startRedisServer } from '../../src/embedded/redis-server.js'
import type { Order } from './attack-process.js'

export type Outcomes = Readonly<Record<string, Readonly<Record<string, number>>>>

const BEACON = fileURLToPath(new URL('./beacon.js', import.meta.url))

/** Redis, one hub and one worker with the settings of the product, each a process. Attackers come from another address than its users. */
export class Stage {
  readonly hub: NodeProcess
  readonly #redis: RedisServer
  readonly #worker: ChildProcess
  readonly #secret: string

  private constructor(redis: RedisServer, hub: NodeProcess, worker: ChildProcess, secret: string) {
    this.#redis = redis
    this.hub = hub
    this.#worker = worker
    this.#secret = secret
  }

  static async start(): Promise<Stage> {
    const redis = await startRedisServer()
    const secret = randomBytes(32).toString('base64url')
    const env = { PATH: process.env.PATH ?? '', REDIS_URL: redis.url, KINDS_MODULES: BEACON, WORKER_KINDS: 'beacon', LOG_LEVEL: 'warn' }
    const worker = fork(fileURLToPath(new URL('../../workers/main.js', import.meta.url)), {
      env,
      execArgv: [],
    })
    const hub = await startNode('../src/main.js', { ...env, JWT_SECRET: secret, READY_NEEDS_WORKER: 'yes' })
    return new Stage(redis, hub, worker, secret)
  }

  token(sub: string): string {
    return signToken(this.#secret, sub, 3600)
  }

  /** Attacks for so many seconds; resolves with the outcomes of each. */
  async attack(attacks: Order['attacks'], seconds: number): Promise<Outcomes> {
    const attackers = fork(fileURLToPath(new URL('./attack-process.js', import.meta.url)), { execArgv: [] })
    const port = Number(this.hub.host.split(':')[1])
    attackers.send({ port, from: '127.0.0.2', token: this.token('mallory'), seconds, attacks } satisfies Order)
    const [outcomes] = (await once(attackers, 'message')) as [Outcomes] // its only message
    return outcomes
  }

  async stop(): Promise<void> {
    const exit = once(this.#worker, 'exit')
    this.#worker.kill('SIGKILL')
    await exit
    await this.hub.stop()
    await this.#redis.stop()
  }
}
