import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { eventually } from './eventually.js'
import { type Harness, SECRET } from './harness.js'
import { testPort } from './ports.js'
import { clockArguments } from './wrong-clock.js'

/** A hub in its own process on the Redis of a harness, ready, killed in the teardown. */
export async function startHub(
  t: Test,
  { redis }: Pick<Harness, 'redis'>,
  settings: Readonly<Record<string, string>>,
): Promise<{ child: ChildProcess; http: string; ws: string }> {
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
  const port = await testPort()
  const env = {
    ...process.env,
    PORT: `${port}`,
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    MAX_REQUESTS_PER_SECOND: '100000',
    MAX_STRANGER_REQUESTS_PER_SECOND: '100000',
    ...settings,
  }
  const child = fork(main, { env, execArgv: clockArguments(settings), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok, { timeoutMs: 30_000 })
  return { child, http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` }
}
