/*
 * The process between us and redis-server: `redis-guard.js <binary> <kept|temporary> <arguments of redis-server…>`, its working directory the
 * data folder, its IPC channel the lifeline. It sends `{ pid }` once redis-server runs, ends with its exit code, and ends it when the channel
 * closes, which the kernel does for a parent that was killed, too. Signals leave it alone: only its parent decides when Redis ends.
 * Killed itself, it takes redis-server with it where util-linux has `setpriv` (Linux); elsewhere the parent does, and only parent and guard
 * killed in the same instant leave a redis-server behind.
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
  // The callback takes the error of a parent that is gone: the lifeline tells the same.
  redis.once('spawn', () => process.send?.({ pid: redis.pid }, undefined, undefined, () => {}))
  const [code] = await once(redis, 'exit')
  if (keeping === 'temporary') await rm(process.cwd(), { recursive: true, force: true })
  return code ?? 1
}

/** The server of a parent that was just killed gets the time to end. */
async function waitForFolder(): Promise<void> {
  const deadline = performance.now() + FOLDER_WAIT_MS
  for (let told = false; !(await holdFolder()); told = true) {
    if (!told) process.stdout.write(`Waiting for another Redis on the data folder ${process.cwd()} to end\n`)
    if (performance.now() > deadline) throw new Error(`Another Redis runs on the data folder ${process.cwd()}`)
    await sleep(50)
  }
}

/** `setpriv` becomes redis-server and keeps its pid; the kernel sends it SIGTERM when this process ends in whatever way. */
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
