import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { type Harness, SECRET } from './harness.js'
import { clockArguments } from './wrong-clock.js'

const MAINS = {
  /** The built-in processors. */
  product: '../../workers/main.js',
  /** Runs are the scripts of `scripted-thread.ts`. */
  scripted: './scripted-worker.js',
}

/** A worker in its own process on the Redis of a harness, killed in the teardown. */
export function startWorkerProcess(
  t: Test,
  { redis }: Pick<Harness, 'redis'>,
  settings: Readonly<Record<string, string>>,
  processors: keyof typeof MAINS = 'product',
): ChildProcess {
  const main = fileURLToPath(new URL(MAINS[processors], import.meta.url))
  const env = {
    ...process.env,
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    WORKER_KINDS: 'run',
    ...settings,
  }
  const worker = fork(main, { env, execArgv: clockArguments(settings), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.teardown(() => killProcess(worker))
  return worker
}

/** Ends it with SIGKILL; resolves when it has ended. */
export async function killProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
