import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../src/embedded/redis-port.js'
import { eventually } from '../helpers/eventually.js'
import { containersOf, type Docker, docker, tryDocker } from './docker.js'
import { type Environment, mustRun, ROOT, run, say } from './shell.js'
import type { Stack } from './stack.js'

const IMAGE = 'runcast:compose-test'
const HEALTHY_MS = 120_000
/** Ends the Node of a container as a crash does: the child of its first process. */
const CRASH = `const { readdirSync, readFileSync } = require('node:fs')
for (const pid of readdirSync('/proc').filter(Number)) {
  const [, parent] = (/\\) \\S (\\d+)/.exec(readFileSync('/proc/' + pid + '/stat', 'utf8')) || [])
  if (parent === '1' && Number(pid) !== process.pid) process.kill(Number(pid), 'SIGKILL')
}`

/** docker-compose.yml on an engine, as it stands: under a project, a port, a network and a secret of its own. */
export class EngineStack implements Stack {
  readonly kind: string
  readonly url: string
  readonly folder: string
  readonly engine: Docker
  readonly project: string
  readonly #env: Environment

  private constructor(engine: Docker, folder: string, port: number) {
    this.engine = engine
    this.folder = folder
    this.kind = engine.about
    this.url = `http://127.0.0.1:${port}`
    this.project = `runcast-test-${process.pid}`
    this.#env = {
      ...engine.env,
      RUNCAST_IMAGE: IMAGE,
      RUNCAST_PORT: `${port}`,
      RUNCAST_SUBNET: '172.31.86.0/24',
      RUNCAST_SECRETS: join(folder, 'secrets'),
      COMPOSE_PROJECT_NAME: this.project,
    }
  }

  /** Builds the shipped Dockerfile. Resolves to how long that took and how large the image is. */
  static async build(engine: Docker): Promise<{ seconds: number; bytes: number }> {
    const begun = Date.now()
    await docker(engine, ['build', '--network=host', '-t', IMAGE, ROOT], { timeoutMs: 900_000 })
    const bytes = Number(await docker(engine, ['image', 'inspect', '--format', '{{.Size}}', IMAGE]))
    return { seconds: (Date.now() - begun) / 1000, bytes }
  }

  /** The three commands of the README, less the build. Resolves once all services are healthy. */
  static async up(engine: Docker): Promise<EngineStack> {
    const folder = await mkdtemp(join(tmpdir(), 'runcast-compose-'))
    const stack = new EngineStack(engine, folder, await freePort())
    try {
      await stack.compose('run', '--rm', 'secret')
      await stack.compose('up', '-d')
      await stack.#healthy(await stack.units())
    } catch (error) {
      say((await stack.logs()).slice(-4000))
      await stack.close()
      throw error
    }
    return stack
  }

  compose(...args: readonly string[]): Promise<string> {
    const [command, ...first] = this.engine.compose
    return mustRun(command, [...first, ...args], { env: this.#env, timeoutMs: 300_000 })
  }

  /** A field of a container, by a template of `docker inspect`. */
  inspect(unit: string, template: string): Promise<string> {
    return docker(this.engine, ['inspect', '--format', template, unit])
  }

  /** Runs something in a container, as its own user. */
  exec(unit: string, ...args: readonly string[]): ReturnType<typeof run> {
    return tryDocker(this.engine, ['exec', unit, ...args])
  }

  token(sub: string): Promise<string> {
    return this.compose('run', '--rm', '--no-deps', '-T', 'hub', 'token', sub)
  }

  units(service?: string): Promise<string[]> {
    const filters = [`label=com.docker.compose.project=${this.project}`, 'label=com.docker.compose.oneoff=False']
    return containersOf(this.engine, service ? [...filters, `label=com.docker.compose.service=${service}`] : filters)
  }

  async scale(service: string, count: number): Promise<void> {
    await this.compose('up', '-d', '--no-deps', '--no-recreate', '--scale', `${service}=${count}`, service)
    await eventually(async () => (await this.units(service)).length === count, { timeoutMs: HEALTHY_MS, everyMs: 300 })
    await this.#healthy(await this.units(service))
  }

  async stop(unit: string): Promise<number> {
    await docker(this.engine, ['stop', unit])
    return Number(await this.inspect(unit, '{{.State.ExitCode}}'))
  }

  async crash(unit: string): Promise<void> {
    const starts = await this.inspect(unit, '{{.RestartCount}}')
    await this.exec(unit, 'node', '-e', CRASH)
    await eventually(async () => (await this.inspect(unit, '{{.RestartCount}}')) !== starts, { timeoutMs: 30_000, everyMs: 200 })
    await this.#healthy([unit])
  }

  async replace(unit: string): Promise<number> {
    const service = await this.inspect(unit, '{{index .Config.Labels "com.docker.compose.service"}}')
    const count = (await this.units(service)).length
    const code = await this.stop(unit)
    await docker(this.engine, ['rm', unit])
    await this.scale(service, count)
    return code
  }

  async restart(service: string): Promise<void> {
    await this.compose('restart', service)
    await this.#healthy(await this.units(service))
  }

  async logs(): Promise<string> {
    const filters = [`label=com.docker.compose.project=${this.project}`]
    const all = await containersOf(this.engine, filters, true)
    const texts = await Promise.all(all.map((unit) => tryDocker(this.engine, ['logs', unit])))
    return texts.map(({ stdout, stderr }) => stdout + stderr).join('\n')
  }

  async memory(): Promise<ReadonlyMap<string, number>> {
    const lines = await docker(this.engine, ['stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}'])
    const rows = lines.split('\n').map((line) => line.split(' '))
    return new Map(rows.filter(([name = '']) => name.includes(this.project)).map(([name = '', used = '']) => [name, bytesOf(used)]))
  }

  async close(): Promise<void> {
    const [command, ...first] = this.engine.compose
    await run(command, [...first, 'down', '-v', '-t', '5', '--remove-orphans'], { env: this.#env, timeoutMs: 180_000 })
    await tryDocker(this.engine, ['image', 'rm', IMAGE])
    await rm(this.folder, { recursive: true, force: true })
  }

  async #healthy(units: readonly string[]): Promise<void> {
    const deadline = Date.now() + HEALTHY_MS
    for (const unit of units) {
      while ((await this.inspect(unit, '{{.State.Health.Status}}')) !== 'healthy') {
        if (Date.now() > deadline) throw new Error(`${unit} is not healthy: ${await this.inspect(unit, '{{json .State}}')}`)
        await sleep(300)
      }
    }
  }
}

/** `12.5MiB` as bytes. */
function bytesOf(text: string): number {
  const [, number = '0', unit = ''] = /^([\d.]+)\s*([KMG]?i?B)/.exec(text) ?? []
  const size = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[unit] ?? 1
  return Number(number) * size
}
