import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../support/eventually.js'
import { testPort } from '../support/ports.js'
import { containersOf, type Docker, docker, tryDocker } from './docker.js'
import { type Environment, mustRun, ROOT, run } from './shell.js'
import type { Stack } from './stack.js'

/** What the commands of docs/operate/compose.md build. */
const IMAGE = 'runcast:compose-test'
const HEALTHY_MS = 120_000
/** Ends what the first process of a container has started, as a crash does. */
const CRASH = 'for stat in /proc/[0-9]*/stat; do read -r pid _ _ parent _ <"$stat"; [ "$parent" != 1 ] || kill -9 "$pid"; done'
/** Everything that these commands read. */
const CLONE = [
  'docker-compose.yml',
  'Dockerfile',
  '.dockerignore',
  'deploy',
  'package.json',
  'package-lock.json',
  'LICENSE',
  'tsconfig.json',
  'scripts',
  'src',
  'workers',
  'README.md',
  'docs',
]
/** Whose clone it is: not root's. */
const OWNER = 12_345

/** docker-compose.yml on an engine, as it stands, in a clone that is closed to others: under a project, a port and a network of its own. */
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
      RUNCAST_SUBNET: '10.213.86.0/24',
      COMPOSE_PROJECT_NAME: this.project,
      COMPOSE_FILE: 'docker-compose.yml:build-network.yml',
    }
  }

  /** Copies what a clone has, as it is after a umask of 077. Starts nothing. */
  static async clone(engine: Docker): Promise<EngineStack> {
    const folder = await mkdtemp(join(tmpdir(), 'runcast-clone-'))
    for (const path of CLONE) await cp(join(ROOT, path), join(folder, path), { recursive: true })
    // Images are built with the network of the machine: an engine of its own has no other.
    await writeFile(join(folder, 'build-network.yml'), 'services: { hub: { build: { context: ., network: host } } }\n')
    await mustRun('chmod', ['-R', 'u+rwX,go-rwx', folder])
    await run('chown', ['-R', `${OWNER}:${OWNER}`, folder])
    return new EngineStack(engine, folder, await testPort())
  }

  /** Runs lines of a document in the clone, but for the port and for the name of a compose that is older. Answers what they print. */
  shell(lines: readonly string[], timeoutMs = 300_000): Promise<string> {
    const here = (line: string) =>
      line
        .replaceAll('docker compose', this.engine.compose.join(' '))
        .replaceAll('http://127.0.0.1:8501', this.url)
        .replaceAll('runcast_redis', `${this.project}_redis`)
    return mustRun('bash', ['-e', '-o', 'pipefail', '-c', lines.map(here).join('\n')], { cwd: this.folder, env: this.#env, timeoutMs })
  }

  /** How large the image is, in bytes. */
  async imageSize(): Promise<number> {
    return Number(await docker(this.engine, ['image', 'inspect', '--format', '{{.Size}}', IMAGE]))
  }

  /** Resolves once all services are healthy. */
  healthy(): Promise<void> {
    return this.units().then((units) => this.#healthy(units))
  }

  /** A field of the image. */
  ofImage(template: string): Promise<string> {
    return docker(this.engine, ['image', 'inspect', '--format', template, IMAGE])
  }

  compose(...args: readonly string[]): Promise<string> {
    const [command, ...first] = this.engine.compose
    return mustRun(command, [...first, ...args], { cwd: this.folder, env: this.#env, timeoutMs: 300_000 })
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
    await this.exec(unit, 'sh', '-c', CRASH)
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

  async recreate(): Promise<void> {
    const counts = await Promise.all(['hub', 'solver'].map(async (service) => `${service}=${(await this.units(service)).length}`))
    await this.compose('down')
    await this.compose('up', '-d', ...counts.flatMap((count) => ['--scale', count]))
    await this.healthy()
  }

  get proxyFile(): string {
    return join(this.folder, 'deploy/haproxy/haproxy.cfg')
  }

  async reload(): Promise<void> {
    const [, command = ''] =
      /`(docker compose exec -T proxy [^`]+)`/.exec(await readFile(join(this.folder, 'docs/operate/compose.md'), 'utf8')) ?? []
    await this.shell([command])
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
    await run(command, [...first, 'down', '-v', '-t', '5', '--remove-orphans'], { cwd: this.folder, env: this.#env, timeoutMs: 180_000 })
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
