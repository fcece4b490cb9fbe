import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/eventually.js'
import { testPort } from '../support/ports.js'
import { readyProgram } from '../support/programs.js'
import { composeServices, type Service } from './compose-file.js'
import { mustRun, ROOT, run } from './shell.js'
import type { Stack } from './stack.js'
import { Unit } from './unit.js'

/** Hubs that the load balancer knows of, whether they run or not: it has no Docker's DNS to ask. */
const SLOTS = 5
const READY_MS = 60_000
const OURS = ['hub', 'solver', 'benchmark']

/** The same services as processes of this machine, by the commands, the environment and the stop periods of docker-compose.yml, and behind its haproxy.cfg, all on loopback. */
export class ProcessStack implements Stack {
  readonly kind = 'processes'
  readonly url: string
  readonly folder: string
  readonly #services = composeServices()
  readonly #units = new Map<string, Unit>()
  readonly #first: number

  private constructor(folder: string, firstPort: number) {
    this.folder = folder
    this.#first = firstPort
    this.url = `http://127.0.0.1:${firstPort}`
  }

  static async up(): Promise<ProcessStack> {
    const mayDownload = process.env.RUNCAST_NO_INSTALL !== '1'
    for (const program of ['haproxy', 'redis-server', 'redis-cli'])
      await readyProgram(program, mayDownload, (line) => process.stderr.write(`${line}\n`))
    const folder = await mkdtemp(join(tmpdir(), 'runcast-processes-'))
    // Proxy, its health, Redis, and two for each hub and worker.
    const stack = new ProcessStack(folder, await testPort(3 + 2 * SLOTS * OURS.length))
    try {
      await mustRun('node', [join(ROOT, 'deploy/image/secret.mjs'), join(folder, 'secrets')])
      mkdirSync(join(folder, 'data'))
      await stack.scale('redis', 1)
      for (const service of OURS) await stack.scale(service, 1)
      stack.#writeProxy()
      await stack.scale('proxy', 1)
    } catch (error) {
      process.stderr.write(await stack.logs())
      await stack.close()
      throw error
    }
    return stack
  }

  token(sub: string): Promise<string> {
    const { command, env } = this.#service('hub')
    return mustRun('node', [mainOf(command), 'token', sub], { env: this.#mapped(env) })
  }

  async units(service: string): Promise<string[]> {
    return [...this.#units].filter(([name, unit]) => unit.isWanted && serviceOf(name) === service).map(([name]) => name)
  }

  async scale(service: string, count: number): Promise<void> {
    const running = await this.units(service)
    for (const name of running.slice(count)) await this.stop(name)
    for (let slot = 1; (await this.units(service)).length < count; slot += 1) {
      const name = `${service}-${slot}`
      if (this.#units.get(name)?.isWanted) continue
      const unit = new Unit(this.#unitOptions(service, slot))
      this.#units.set(name, unit)
      unit.start()
    }
    for (const name of await this.units(service)) await this.#healthy(name)
  }

  async stop(name: string): Promise<number> {
    return this.#unit(name).stop()
  }

  async crash(name: string): Promise<void> {
    const unit = this.#unit(name)
    const { pid } = unit
    unit.kill()
    await eventually(() => unit.pid !== pid && unit.pid !== 0, { timeoutMs: READY_MS })
    await this.#healthy(name)
  }

  async replace(name: string): Promise<number> {
    const service = serviceOf(name)
    const count = (await this.units(service)).length
    const code = await this.stop(name)
    await this.scale(service, count)
    return code
  }

  async restart(service: string): Promise<void> {
    for (const name of await this.units(service)) {
      await this.stop(name)
      this.#unit(name).start()
      await this.#healthy(name)
    }
  }

  async recreate(): Promise<void> {
    const counts = new Map<string, number>()
    for (const service of ['proxy', ...OURS, 'redis']) {
      const units = await this.units(service)
      counts.set(service, units.length)
      await Promise.all(units.map((name) => this.stop(name)))
    }
    for (const service of ['redis', ...OURS, 'proxy']) await this.scale(service, counts.get(service) ?? 0)
  }

  get proxyFile(): string {
    return join(this.folder, 'haproxy.cfg')
  }

  async reload(): Promise<void> {
    const idle = SLOTS - (await this.units('hub')).length
    for (const name of await this.units('proxy')) {
      const unit = this.#unit(name)
      const before = unit.log.length
      process.kill(unit.pid, 'SIGUSR2')
      // A slot without a hub counts as up until the new process has asked it; Docker's DNS names none.
      const down = () => new Set(unit.log.slice(before).match(/hubs\/hub\d+ is DOWN/g)).size
      await eventually(() => down() >= idle, { timeoutMs: READY_MS })
    }
  }

  async logs(): Promise<string> {
    return [...this.#units].map(([name, { log }]) => log.replace(/^/gm, `${name} `)).join('\n')
  }

  async memory(): Promise<ReadonlyMap<string, number>> {
    const rows = [...this.#units].filter(([, unit]) => unit.isWanted)
    const sizes = rows.map(
      async ([name, { pid }]) => [name, 1024 * Number((await run('ps', ['-o', 'rss=', '-p', `${pid}`])).stdout)] as const,
    )
    return new Map(await Promise.all(sizes))
  }

  async close(): Promise<void> {
    for (const service of ['proxy', ...OURS, 'redis']) await Promise.all((await this.units(service)).map((name) => this.stop(name)))
    await rm(this.folder, { recursive: true, force: true })
  }

  #unit(name: string): Unit {
    const unit = this.#units.get(name)
    if (!unit) throw new Error(`no unit ${name}`)
    return unit
  }

  #service(name: string): Service {
    const service = this.#services.get(name)
    if (!service) throw new Error(`docker-compose.yml has no service ${name}`)
    return service
  }

  get #redisPort(): number {
    return this.#first + 2
  }

  /** The port of a hub or worker for its API, and the one after it for its health. */
  #portOf(service: string, slot: number): number {
    return this.#first + 3 + 2 * (OURS.indexOf(service) * SLOTS + slot - 1)
  }

  /** What other containers are called, and where files are mounted, as it is on this machine. */
  #mapped(env: Readonly<Record<string, string>>): Record<string, string> {
    const here = (value: string) =>
      value.replace('redis:6379', `127.0.0.1:${this.#redisPort}`).replace('/run/secrets/', `${join(this.folder, 'secrets')}/`)
    const mapped = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, here(value)]))
    return { ...mapped, HOST: '127.0.0.1', TRUSTED_PROXIES: env.TRUSTED_PROXIES ? '127.0.0.1' : '' }
  }

  #unitOptions(service: string, slot: number): Unit['options'] {
    const { command, env, graceMs, stopSignal } = this.#service(service)
    const common = { name: `${service}-${slot}`, graceMs, stopSignal }
    if (service === 'redis') {
      const data = join(this.folder, 'data')
      const here = ['--port', `${this.#redisPort}`, '--bind', '127.0.0.1']
      return {
        ...common,
        command: [...command.map((word) => (word === '/data' ? data : word)), ...here],
        env: {},
        isHealthy: () => this.#redisAnswers(),
      }
    }
    if (service === 'proxy') {
      const isHealthy = async () => (await fetch(`http://127.0.0.1:${this.#first + 1}/healthy`)).ok
      return { ...common, command: [...command.slice(0, -1), this.proxyFile], env: {}, isHealthy }
    }
    const port = this.#portOf(service, slot)
    const ports = { PORT: `${port}`, METRICS_PORT: `${port + 1}` }
    const healthEnv = { METRICS_PORT: ports.METRICS_PORT }
    const isHealthy = async () => (await run('node', [join(ROOT, 'deploy/image/health.mjs')], { env: healthEnv })).code === 0
    const args = command.slice(command.indexOf('node') + 2)
    return { ...common, command: [process.execPath, mainOf(command), ...args], env: { ...this.#mapped(env), ...ports }, isHealthy }
  }

  async #redisAnswers(): Promise<boolean> {
    return (await run('redis-cli', ['-p', `${this.#redisPort}`, 'ping'])).stdout.includes('PONG')
  }

  /** The shipped configuration, with hubs by address where Docker's DNS would name them. */
  #writeProxy(): void {
    const shipped = readFileSync(join(ROOT, 'deploy/haproxy/haproxy.cfg'), 'utf8')
    const servers = Array.from({ length: SLOTS }, (_, i) => `  server hub${i + 1} 127.0.0.1:${this.#portOf('hub', i + 1)}`)
    const config = shipped
      .replace('bind :8501', `bind 127.0.0.1:${this.#first}`)
      .replace('bind 127.0.0.1:8404', `bind 127.0.0.1:${this.#first + 1}`)
      .replace(' resolvers docker resolve-prefer ipv4 init-addr none', '')
      .replace(/^ {2}server-template .*$/m, servers.join('\n'))
    writeFileSync(this.proxyFile, config)
  }

  async #healthy(name: string): Promise<void> {
    const { options } = this.#unit(name)
    await eventually(() => options.isHealthy(), { timeoutMs: READY_MS, everyMs: 200 })
  }
}

function serviceOf(unit: string): string {
  return unit.replace(/-\d+$/, '')
}

/** Where the program of the image is on this machine. */
function mainOf(command: readonly string[]): string {
  const main = command[command.indexOf('node') + 1] ?? ''
  return join(ROOT, main.replace('/app/', ''))
}
