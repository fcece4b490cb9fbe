/*
 * The process between its parent and redis-server: `redis-guard.js <binary> <kept|temporary> <arguments of
 * redis-server…>`. Its working directory is the data folder. It sends `{ pid }` once redis-server runs and ends with
 * its exit code. It ends redis-server when its IPC channel closes; the kernel closes the channel even of a killed
 * parent. It ignores signals: only its parent decides when Redis ends. If the guard itself is killed, redis-server ends
 * too where util-linux has `setpriv` (Linux). Elsewhere the parent ends it, and a redis-server remains only if parent
 * and guard are killed at the same instant.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { holdFolder } from './redis-folder.js'

const FOLDER_WAIT_MS = 10_000
const STOP_WAIT_MS = 5_000

async function main([binary = '', keeping, ...args]: string[]): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  await waitForFolder()
  if (!process.connected) return 0
  const redis = start(binary, args)
  process.once('disconnect', () => stop(redis))
  // The callback ignores the error of a parent that is gone: the IPC channel reports it too.
  redis.once('spawn', () => process.send?.({ pid: redis.pid }, undefined, undefined, () => {}))
  const [code] = await once(redis, 'exit')
  if (keeping === 'temporary') await rm(process.cwd(), { recursive: true, force: true })
  return code ?? 1
}

/** Gives the server of a parent that was just killed time to end. */
async function waitForFolder(): Promise<void> {
  const deadline = performance.now() + FOLDER_WAIT_MS
  for (let isLogged = false; !(await holdFolder()); isLogged = true) {
    if (!isLogged) process.stdout.write(`Waiting for another Redis on the data folder ${process.cwd()} to end\n`)
    if (performance.now() > deadline) throw new Error(`Another Redis uses the data folder ${process.cwd()}: stop it, or set DATA_DIR`)
    await sleep(50)
  }
}

/**
 * `setpriv` executes redis-server under the same pid. The kernel sends it SIGTERM when this process ends in any way.
 */
function start(binary: string, args: string[]): ChildProcess {
  const binding = ['--pdeathsig', 'TERM']
  const mayBind = process.platform === 'linux' && spawnSync('setpriv', [...binding, 'true']).status === 0
  const options: SpawnOptions = { stdio: ['ignore', 'inherit', 'inherit'] }
  return mayBind ? spawn('setpriv', [...binding, binary, ...args], options) : spawn(binary, args, options)
}

function stop(redis: ChildProcess): void {
  redis.kill('SIGTERM')
  setTimeout(() => redis.kill('SIGKILL'), STOP_WAIT_MS).unref()
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exit(1)
}
