import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../src/embedded/redis-port.js'

const READY_TIMEOUT_MS = 30_000
const POLL_MS = 20

/** A server in its own process. It ends with this process in every case, because their channel closes. */
export interface NodeProcess {
  readonly pid: number
  /** `127.0.0.1:<port>` */
  readonly host: string
  stop(): Promise<void>
}

/** Starts a module of build/ on a free port and resolves once it answers 200. Its environment is `settings` only. */
export async function startNode(module: string, settings: Readonly<Record<string, string>>): Promise<NodeProcess> {
  const port = await freePort()
  const env = { ...settings, HOST: '127.0.0.1', PORT: String(port) }
  const path = fileURLToPath(new URL(module, import.meta.url))
  const child = fork(path, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const host = `127.0.0.1:${port}`
  const stop = () => end(child)
  try {
    await waitUntilReady(child, host)
    return { pid: child.pid ?? 0, host, stop } // set, because the child has answered
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * CPU time of all threads of a process, user and system, in µs, from `/proc/<pid>/task/<tid>/schedstat` (ns). The equal
 * sum of utime and stime in `/proc/<pid>/stat` has steps of 10 ms, too coarse for a slice. Linux only.
 */
export function cpuMicroseconds(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const nanoseconds = tasks.map((task) => Number.parseInt(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8'), 10))
  return nanoseconds.reduce((sum, value) => sum + value, 0) / 1000
}

async function waitUntilReady(child: ChildProcess, host: string): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    const response = await fetch(`http://${host}/readyz`).catch(() => null)
    await response?.text()
    if (response?.ok) return
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${child.spawnargs.at(-1)} was not ready in time`)
    await sleep(POLL_MS)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
