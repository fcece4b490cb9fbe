import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BootstrapError, say } from './command.mjs'
import { compile, isCompiled } from './compile.mjs'
import { withLock } from './lock.mjs'
import { arePackagesInstalled, installPackages } from './packages.mjs'
import { CALCULIX, installProgram, KUSTOMIZE, PYTHON } from './programs.mjs'
import { fetchPromtool, hasPromtool } from './promtool.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FLAGS = ['--build', '--redis', '--redis-binary', '--python', '--calculix', '--kustomize', '--promtool']

/** The steps in their order. What the user can mend is told in one line and ends with exit code 1. */
export async function bootstrap(flags, env) {
  try {
    const unknown = flags.find((flag) => !FLAGS.includes(flag))
    if (unknown !== undefined) throw new BootstrapError(`unknown option ${unknown}; there are ${FLAGS.join(', ')}`)
    const mayInstall = env.RUNCAST_NO_INSTALL !== '1'
    await unless(
      () => arePackagesInstalled(ROOT),
      () => installPackages(ROOT, mayInstall),
    )
    await unless(
      () => isCompiled(ROOT),
      () => compile(ROOT),
    )
    if (flags.includes('--redis-binary') || (flags.includes('--redis') && !env.REDIS_URL && !env.REDIS_URL_FILE))
      await ensureRedis(mayInstall)
    if (flags.includes('--promtool')) await unless(hasPromtool, () => fetchPromtool(mayInstall))
    for (const program of programsFor(flags)) await unless(program.runs, () => installProgram(program, mayInstall))
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

/** The search is the program's own, so it runs from build/: the one place that knows which Redis will do. */
async function ensureRedis(mayInstall) {
  const { searchRedis } = await import('../build/src/embedded/find-redis.js')
  await unless(
    async () => (await searchRedis()).found !== undefined,
    async () => (await import('./redis.mjs')).installRedis(mayInstall),
  )
}

/** The example that needs CalculiX is a Python program. */
function programsFor(flags) {
  const asked = { '--calculix': [PYTHON, CALCULIX], '--python': [PYTHON], '--kustomize': [KUSTOMIZE] }
  return [...new Set(flags.flatMap((flag) => asked[flag] ?? []))]
}

/** Does what is not done yet. Looks first without the lock, so that nothing to do costs nothing, then again with it. */
async function unless(isDone, act) {
  if (await isDone()) return
  mkdirSync(join(ROOT, '.runcast'), { recursive: true })
  await withLock(join(ROOT, '.runcast', 'bootstrap.lock'), async () => {
    if (!(await isDone())) await act()
  })
}
