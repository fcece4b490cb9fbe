import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eventually } from './eventually.js'
import { testPort } from './ports.js'

const run = promisify(execFile)

/** Root of the clone. */
export const CLONE = fileURLToPath(new URL('../../../', import.meta.url))

/** JWT_SECRET of the processes of a release. */
export const RELEASE_SECRET = 'a-secret-of-two-releases-0123456789abcdef'

/** The release with which current data, clients and processes stay compatible. */
export const EARLIER = { version: 'v0.1.0', commit: '4a843b9894a21b1adb7aaa0689daea263fd2c42a' }

/** Why the earlier release cannot be built here; false if it can. */
export async function earlierIsMissing(): Promise<string | false> {
  try {
    await run('git', ['rev-parse', '--verify', '--quiet', `${EARLIER.commit}^{commit}`], { cwd: CLONE })
    return false
  } catch {
    return `this copy has no history back to ${EARLIER.version} (${EARLIER.commit.slice(0, 7)}): use a full clone`
  }
}

/**
 * Builds the earlier release from the history of this clone and returns its folder. The build is cached in `.runcast/`.
 * Uses the packages of this clone if the versions match, and installs its own otherwise.
 */
export async function buildEarlier(): Promise<string> {
  const releases = join(CLONE, '.runcast/releases')
  const folder = join(releases, EARLIER.commit)
  if (existsSync(folder)) return folder
  await mkdir(releases, { recursive: true })
  const building = await mkdtemp(join(releases, 'building-'))
  try {
    const archive = join(building, 'release.tar')
    const paths = ['src', 'workers', 'package.json', 'package-lock.json']
    await run('git', ['archive', `--output=${archive}`, EARLIER.commit, ...paths], { cwd: CLONE })
    await run('tar', ['-xf', archive, '-C', building])
    await rm(archive)
    if (await hasSamePackages(building)) await symlink(join(CLONE, 'node_modules'), join(building, 'node_modules'))
    else await run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: building })
    await compile(building)
    await rename(building, folder).catch((error) => {
      if (!existsSync(folder)) throw error // else another process has built it meanwhile
    })
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return folder
}

/** Compiles each file separately, without type checks. */
async function compile(release: string): Promise<void> {
  const { default: ts } = await import('typescript')
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
  for (const folder of ['src', 'workers']) {
    await cp(join(release, folder), join(release, 'build', folder), { recursive: true })
    for (const file of await readdir(join(release, 'build', folder), { recursive: true })) {
      if (!file.endsWith('.ts')) continue
      const path = join(release, 'build', folder, file)
      const { outputText } = ts.transpileModule(await readFile(path, 'utf8'), { compilerOptions })
      await writeFile(path.replace(/\.ts$/, '.js'), outputText)
      await rm(path)
    }
  }
}

/** Whether this clone has the dependencies of a release in the versions that it was released with. */
async function hasSamePackages(release: string): Promise<boolean> {
  const [theirs, ours] = await Promise.all([release, CLONE].map((folder) => readJson(join(folder, 'package-lock.json'))))
  const { dependencies } = await readJson(join(release, 'package.json'))
  return Object.keys(dependencies).every((name) => {
    const [before, now] = [theirs, ours].map(({ packages }) => packages[`node_modules/${name}`]?.version)
    return before === now
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a file of npm
async function readJson(path: string): Promise<any> {
  return JSON.parse(await readFile(path, 'utf8'))
}

/** A hub or a worker in its own process. */
export interface ReleaseProcess {
  readonly child: ChildProcess
  /** URL of a hub, `http://127.0.0.1:<port>`. */
  readonly http: string
  readonly ws: string
  /** Ends it with SIGKILL; resolves when it has ended. */
  kill(): Promise<void>
}

/** Starts the hub of a release and waits until it is ready. `root`: folder of the release. */
export async function startReleaseHub(root: string, settings: Readonly<Record<string, string>>): Promise<ReleaseProcess> {
  const port = await testPort()
  const hub = start(root, 'build/src/main.js', port, { PORT: `${port}`, DRAIN_MS: '0', ...settings })
  try {
    await eventually(async () => (await fetch(`${hub.http}/readyz`)).ok, { timeoutMs: 30_000 })
  } catch (error) {
    await hub.kill()
    throw error
  }
  return hub
}

/** Starts the worker of a release. */
export function startReleaseWorker(root: string, settings: Readonly<Record<string, string>>): ReleaseProcess {
  return start(root, 'build/workers/main.js', 0, { WORKER_FINISH_MS: '0', ...settings })
}

function start(root: string, main: string, port: number, settings: Readonly<Record<string, string>>): ReleaseProcess {
  const env = { ...process.env, JWT_SECRET: RELEASE_SECRET, LOG_LEVEL: 'silent', ...settings }
  const child = fork(join(root, main), { cwd: root, env, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  return {
    child,
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
