import { fileURLToPath } from 'node:url'
import { BootstrapError, say } from './command.mjs'
import { compile, isCompiled } from './compile.mjs'
import { ensureRedis, unless } from './ensure-redis.mjs'
import { arePackagesInstalled, installPackages } from './packages.mjs'
import { CALCULIX, CHROMIUM, installProgram, KUSTOMIZE, PYTHON } from './programs.mjs'
import { fetchPromtool, hasPromtool } from './promtool.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FLAGS = ['--build', '--redis', '--redis-binary', '--python', '--calculix', '--chromium', '--kustomize', '--promtool']

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

/** The example that needs CalculiX is a Python program. */
function programsFor(flags) {
  const asked = { '--calculix': [PYTHON, CALCULIX], '--python': [PYTHON], '--chromium': [CHROMIUM], '--kustomize': [KUSTOMIZE] }
  return [...new Set(flags.flatMap((flag) => asked[flag] ?? []))]
}
