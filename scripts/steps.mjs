import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BootstrapError, say } from './command.mjs'
import { compile, isCompiled } from './compile.mjs'
import { withLock } from './lock.mjs'
import { arePackagesInstalled, installPackages } from './packages.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FLAGS = [
  ...['--build', '--redis', '--redis-binary', '--python', '--python-tools', '--calculix', '--curl', '--chromium', '--kustomize'],
  '--promtool',
  '--s3-server',
]

/** Runs the steps in order. An error that the user can fix is printed as one line, with exit code 1. */
export async function bootstrap(flags, env) {
  try {
    const unknown = flags.find((flag) => !FLAGS.includes(flag))
    if (unknown !== undefined) throw new BootstrapError(`unknown option ${unknown}; the options are ${FLAGS.join(', ')}`)
    const mayInstall = env.RUNCAST_NO_INSTALL !== '1'
    await unless(
      () => arePackagesInstalled(ROOT),
      () => installPackages(ROOT, mayInstall),
    )
    await unless(
      () => isCompiled(ROOT),
      () => compile(ROOT),
    )
    if (flags.includes('--redis-binary') || (flags.includes('--redis') && !env.REDIS_URL && !env.REDIS_URL_FILE)) {
      const { readyRedis } = await import('../build/src/embedded/ready-redis.js')
      await readyRedis(mayInstall, say)
    }
    const programs = flags.map((flag) => flag.slice('--'.length)).filter((name) => !['build', 'redis', 'redis-binary'].includes(name))
    // The CalculiX example is a Python program, and Python unpacks kubectl.
    if (programs.includes('calculix') || programs.includes('kustomize')) programs.unshift('python')
    for (const name of programs) await (await import('../build/test/support/programs.js')).readyProgram(name, mayInstall, say)
  } catch (error) {
    if (!(error instanceof BootstrapError) && error.name !== 'SetupError') throw error
    say(error.message)
    process.exitCode = 1
  }
}

/** Runs `act` unless `isDone`. Checks first without the lock, so that nothing to do is fast, then again with it. */
async function unless(isDone, act) {
  if (isDone()) return
  const folder = join(ROOT, '.runcast')
  try {
    mkdirSync(folder, { recursive: true })
    await withLock(join(folder, 'bootstrap.lock'), () => isDone() || act())
  } catch (error) {
    if (error.code !== 'EROFS' && error.code !== 'EACCES') throw error
    throw new BootstrapError(`this clone must be installed or compiled, but is not writable: ${error.message}`)
  }
}
