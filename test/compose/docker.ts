import { type Environment, linesOf, mustRun, type Outcome, type RunOptions, run } from './shell.js'

/** A Docker engine and its command line, as a user has them. */
export interface Docker {
  /** What it is, for the reader. */
  readonly about: string
  readonly env: Environment
  /** `docker`, or the path of one. */
  readonly command: string
  /** `docker compose` or `docker-compose`. */
  readonly compose: readonly [string, ...string[]]
  /** Ends what was started for it, and removes what that left. */
  close(): Promise<void>
}

export function docker(engine: Docker, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return mustRun(engine.command, args, { ...options, env: { ...engine.env, ...options.env } })
}

export function tryDocker(engine: Docker, args: readonly string[]): Promise<Outcome> {
  return run(engine.command, args, { env: engine.env })
}

/** An engine that is there and answers, with a compose of either version; null where there is none. */
export async function findDocker(): Promise<Docker | null> {
  const info = await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 20_000 })
  if (info.code !== 0) return null
  const compose = await findCompose('docker')
  if (!compose) return null
  const about = `the Docker ${info.stdout.trim()} that is here, with ${compose.join(' ')}`
  return { about, env: await builderOf('docker'), command: 'docker', compose, close: async () => {} }
}

/** Compose of version 2 where it is, else 1.29. */
export async function findCompose(command: string): Promise<readonly [string, ...string[]] | null> {
  if ((await run(command, ['compose', 'version'])).code === 0) return [command, 'compose']
  return (await run('docker-compose', ['version'])).code === 0 ? ['docker-compose'] : null
}

/** Without buildx newer clients refuse to build unless they are told to use the classic builder. */
export async function builderOf(command: string): Promise<Environment> {
  const hasBuildx = (await run(command, ['buildx', 'version'])).code === 0
  return hasBuildx ? {} : { DOCKER_BUILDKIT: '0' }
}

/** Names of containers that fit filters. */
export async function containersOf(engine: Docker, filters: readonly string[], isAll = false): Promise<string[]> {
  const args = filters.flatMap((filter) => ['--filter', filter])
  return linesOf(await docker(engine, ['ps', ...(isAll ? ['-a'] : []), ...args, '--format', '{{.Names}}'])).toSorted()
}
