import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { signToken } from '../../../src/cli/token.js'
import { type RedisServer, startRedisServer } from '../../../src/embedded/redis-server.js'
import { testPort } from '../../support/ports.js'
import { countLine, type LogLine } from './log-line.js'
import { SETTINGS } from './settings.js'
import type { Tally } from './tally.js'
import { Unit } from './unit.js'

const REQUEST_TIMEOUT_MS = 4000

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: the checks look at whatever came
  readonly body: any
}

export interface Request {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly sub: string
  readonly body?: object
  /** Which hub is asked, of any number. */
  readonly hub: number
}

export interface WorldOptions {
  readonly hubs: number
  readonly workers: number
  readonly tally: Tally
  readonly onFault: (fault: string) => void
}

/** The system under test: one Redis, hubs and workers, each a process of its own, as in production. */
export class World {
  readonly hubs: readonly Unit[]
  readonly workers: readonly Unit[]
  readonly redisUrl: string
  /** Where computations write what they report (`ledger.ts`). */
  readonly ledger: string
  readonly #ports: readonly number[]
  readonly #secret: string
  readonly #dataDir: string
  #redis: RedisServer
  #isRedisBusy = false
  readonly #tokens = new Map<string, string>()

  private constructor(options: WorldOptions, redis: RedisServer, ports: readonly number[]) {
    this.#redis = redis
    this.#dataDir = redis.dataDir
    this.ledger = ledgerIn(redis.dataDir)
    this.redisUrl = redis.url
    this.#ports = ports
    this.#secret = randomBytes(32).toString('base64url')
    const own = {
      CHAOS_LEDGER: this.ledger,
      ARTIFACTS_DIR: join(redis.dataDir, 'artifacts'),
      REDIS_URL: redis.url,
      JWT_SECRET: this.#secret,
    }
    const env = { PATH: process.env.PATH, ...SETTINGS, ...own }
    const { tally, onFault } = options
    const common = { onFault, onLine: (line: LogLine) => countLine(tally, line) }
    this.hubs = ports.map((port, i) => {
      const isReady = async () => (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1000) })).ok
      return new Unit({ name: `hub ${i}`, module: '../../../src/main.js', env: { ...env, PORT: `${port}` }, isReady, ...common })
    })
    this.workers = Array.from({ length: options.workers }, (_, i) => {
      const isReady = (lines: readonly LogLine[]) => lines.some(({ msg }) => msg === 'worker takes jobs')
      return new Unit({ name: `worker ${i}`, module: './worker-main.js', env, isReady, ...common })
    })
  }

  static async start(options: WorldOptions): Promise<World> {
    const dataDir = await mkdtemp(join(tmpdir(), 'runcast-chaos-'))
    await mkdir(ledgerIn(dataDir))
    const redis = await startRedisServer({ port: await testPort(), dataDir })
    const ports = await Promise.all(Array.from({ length: options.hubs }, () => testPort()))
    const world = new World(options, redis, ports)
    try {
      await Promise.all(world.units.map((unit) => unit.start()))
      return world
    } catch (error) {
      await world.stop()
      throw error
    }
  }

  get units(): readonly Unit[] {
    return [...this.hubs, ...this.workers]
  }

  webSocketUrl(hub: number): string {
    return `ws://127.0.0.1:${this.#ports[hub % this.#ports.length]}`
  }

  token(sub: string): string {
    const token = this.#tokens.get(sub) ?? signToken(this.#secret, sub, 7200)
    this.#tokens.set(sub, token)
    return token
  }

  /** Null where no answer came: nobody knows then what was done. */
  async ask({ method = 'GET', path, sub, body, hub }: Request): Promise<Answer | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#ports[hub % this.#ports.length]}${path}`, {
        method,
        headers: { authorization: `Bearer ${this.token(sub)}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      })
      const text = await response.text()
      return { status: response.status, body: text === '' ? null : JSON.parse(text) }
    } catch {
      return null
    }
  }

  /** Ends Redis in order and starts it again with what it has written, on the same port. False where it is in other hands. */
  restartRedis(): Promise<boolean> {
    return this.#withRedis(async () => {
      const { port } = this.#redis
      await this.#redis.stop()
      this.#redis = await startRedisServer({ port, dataDir: this.#dataDir })
    })
  }

  freezeRedis(ms: number): Promise<boolean> {
    return this.#withRedis(async () => {
      process.kill(this.#redis.pid, 'SIGSTOP')
      await sleep(ms)
      process.kill(this.#redis.pid, 'SIGCONT')
    })
  }

  async #withRedis(act: () => Promise<void>): Promise<boolean> {
    if (this.#isRedisBusy) return false
    this.#isRedisBusy = true
    await act().finally(() => {
      this.#isRedisBusy = false
    })
    return true
  }

  drop(): void {
    for (const unit of this.units) unit.drop()
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((unit) => unit.stop()))
    await Promise.all(this.hubs.map((unit) => unit.stop()))
    await this.#redis.stop()
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}

function ledgerIn(dataDir: string): string {
  return join(dataDir, 'ledger')
}
