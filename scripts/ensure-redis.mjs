import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BootstrapError } from './command.mjs'
import { withLock } from './lock.mjs'

const FOLDER = fileURLToPath(new URL('../.runcast', import.meta.url))

/**
 * Gets a Redis to run where there is none; throws a `BootstrapError` where that cannot be. The search is the program's own, so it runs from build/: the one
 * place that knows which Redis will do. This file and what it imports are in the package too: `runcast start` needs them.
 */
export async function ensureRedis(mayInstall) {
  const { searchRedis } = await import('../build/src/embedded/find-redis.js')
  await unless(
    async () => (await searchRedis()).found !== undefined,
    async () => (await import('./redis.mjs')).installRedis(mayInstall),
  )
}

/** Does what is not done yet. Looks first without the lock, so that nothing to do costs nothing, then again with it. */
export async function unless(isDone, act) {
  if (await isDone()) return
  try {
    mkdirSync(FOLDER, { recursive: true })
  } catch (error) {
    throw new BootstrapError(`something is missing here, and nothing can be installed, since ${FOLDER} cannot be made: ${error.code}`)
  }
  await withLock(join(FOLDER, 'bootstrap.lock'), async () => {
    if (!(await isDone())) await act()
  })
}
