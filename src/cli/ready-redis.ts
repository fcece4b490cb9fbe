import { existsSync } from 'node:fs'
import { CommandError, EXIT } from './exit-code.js'

/** The part of `scripts/ensure-redis.mjs` that is used: plain JavaScript, which the bootstrap runs before anything is compiled. */
interface Script {
  ensureRedis(mayInstall: boolean): Promise<void>
}

/** Sees to it that there is a Redis to run, as the bootstrap of a clone does. Throws an error of one line that says what would help. */
export async function readyRedis(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const url = new URL('../../../scripts/ensure-redis.mjs', import.meta.url)
  // The image has no Redis, and nothing to install one with.
  if (!existsSync(url)) throw new CommandError('runcast start: no Redis can be started here: needs REDIS_URL', EXIT.failed)
  const script: Script = await import(url.href)
  await script.ensureRedis(env.RUNCAST_NO_INSTALL !== '1')
}
