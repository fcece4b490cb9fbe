import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../../src/embedded/redis-port.js'
import { eventually } from './eventually.js'

const run = promisify(execFile)

/** The clone. */
export const CLONE = fileURLToPath(new URL('../../../', import.meta.url))

/** JWT_SECRET of the processes of a release. */
export const RELEASE_SECRET = 'a-secret-of-two-releases-0123456789abcdef'

/** The release that data, clients and processes of today stay compatible with. */
export const EARLIER = { version: 'v0.1.0', commit: '4a843b9894a21b1adb7aaa0689daea263fd2c42a' }

/** Why the earlier release cannot be built here; false where it can. */
export async function earlierIsMissing(): Promise<string | false> {
  try {
    await run('git', ['rev-parse', '--verify', '--quiet', `${EARLIER.commit}^{commit}`], { cwd: CLONE })
    return false
  } catch {
    return `this copy has no history back to ${EARLIER.version} (${EARLIER.commit.slice(0, 7)}): use a full clone`
  }
}

/**
 * Builds the earlier release from the history of this clone and returns its folder. The build is kept in `.runcast/`, so only the first call compiles. The
 * packages of this clone serve it where they are the ones it was released with; otherwise its own are installed.
 */
export async function buildEarlier(): Promise<string> {
  const releases = join(CLONE, '.runcast/releases')
  const folder = join(releases, EARLIER.commit)
  if (existsSync(folder)) return folder
  await mkdir(releases, { recursive: true })
  const building = await mkdtemp(join(releases, 'building-'))
  try {
    const archive = join(building, 'release.tar')
    const paths = ['src', 'workers', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json']
    await run('git', ['archive', `--output=${archive}`, EARLIER.commit, ...paths], { cwd: CLONE })
    await run('tar', ['-xf', archive, '-C', building])
    await rm(archive)
    if (await hasSamePackages(building)) await symlink(join(CLONE, 'node_modules'), join(building, 'node_modules'))
    else await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: building })
    const compile = "import('./scripts/compile.mjs').then(({ compile }) => compile(process.cwd()))"
    await run(process.execPath, ['--eval', compile], { cwd: building })
    await rename(building, folder).catch((error) => {
      if (!existsSync(folder)) throw error // otherwise another process has built it meanwhile
    })
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return folder
}

/** Whether each package in the lock file of a release is in the lock file of this clone, in the same version. */
async function hasSamePackages(release: string): Promise<boolean> {
  const [theirs, ours] = await Promise.all([release, CLONE].map(versionsIn))
  return Object.entries(theirs ?? {}).every(([path, version]) => ours?.[path] === version)
}

async function versionsIn(folder: string): Promise<Record<string, string>> {
  const { packages } = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8'))
  return Object.fromEntries(
    Object.entries<{ version: string }>(packages)
      .filter(([path]) => path !== '')
      .map(([path, { version }]) => [path, version]),
  )
}

/** A hub or a worker, in a process of its own. */
export interface ReleaseProcess {
  readonly child: ChildProcess
  /** Of a hub, `http://127.0.0.1:<port>`. */
  readonly http: string
  readonly ws: string
  /** Ends it with SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts the hub of a release and waits until it is ready. `root`: the folder of the release. */
export async function startReleaseHub(root: string, settings: Readonly<Record<string, string>>): Promise<ReleaseProcess> {
  const port = await freePort()
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
