import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { privateFolder } from './private-copy.js'

/**
 * The oldest supported Redis: functions and sharded pub/sub came with 7.0. Every Valkey (7.2 and later) is recent
 * enough.
 */
export const MINIMUM_REDIS = '7.0'

/** Names of a server, in the order of the search. */
const SERVERS = ['redis-server', 'valkey-server']

/**
 * A server that answered `--version`. `path` is not resolved: in Debian it is a link whose target behaves differently
 * under its own name.
 */
export interface RedisBinary {
  readonly path: string
  readonly version: string
}

/** The result of a search. `passedOver` names each unusable server, with its path and the reason. */
export interface RedisSearch {
  readonly found: RedisBinary | undefined
  readonly passedOver: readonly string[]
}

/**
 * Searches `redis-server`, then `valkey-server`, on the search path, then the private copy. A server counts only if its
 * `--version` runs and is recent enough. Never rejects. Costs one short process per candidate.
 */
export async function searchRedis(searchPath: string | undefined = process.env.PATH): Promise<RedisSearch> {
  const folders = (searchPath ?? '').split(delimiter).filter((folder) => folder !== '')
  const onPath = SERVERS.flatMap((name) => folders.map((folder) => join(folder, name)))
  return searchAmong([...onPath, ...serversIn(privateFolder('redis'))])
}

/** The possible paths of a server in a private copy. */
export function serversIn(copy: string): string[] {
  return SERVERS.map((name) => join(copy, 'bin', name))
}

/** The first usable server among these paths. */
export async function searchAmong(candidates: readonly string[]): Promise<RedisSearch> {
  const passedOver: string[] = []
  for (const path of candidates.filter((candidate) => existsSync(candidate))) {
    const version = await versionOf(path)
    if (version !== undefined && isRecentEnough(version)) return { found: { path, version }, passedOver }
    passedOver.push(version === undefined ? `${path} does not run here` : `${path} is ${version}, older than ${MINIMUM_REDIS}`)
  }
  return { found: undefined, passedOver }
}

/** The server to run. Rejects with one message that lists the unusable servers and says how to get one. */
export async function findRedis(searchPath?: string): Promise<RedisBinary> {
  const { found, passedOver } = await searchRedis(searchPath)
  if (found !== undefined) return found
  const notes = passedOver.map((note) => ` (${note})`).join('')
  throw new Error(`no Redis ${MINIMUM_REDIS} or later on this machine${notes}: run "npm run bootstrap -- --redis"`)
}

/** Whether a version such as `7.0.15` is at least `MINIMUM_REDIS`. */
function isRecentEnough(version: string): boolean {
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
