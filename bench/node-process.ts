import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../src/embedded/redis-port.js'

const READY_TIMEOUT_MS = 30_000
const POLL_MS = 20

/** A server in a process of its own. It ends with this one, however this one ends: the channel between them closes. */
export interface NodeProcess {
  readonly pid: number
  /** `127.0.0.1:<port>` */
  readonly host: string
  stop(): Promise<void>
}

/** Starts a module of build/ on a free port and resolves once it answers HTTP with 200. It gets these settings as its environment, and no others. */
export async function startNode(module: string, settings: Readonly<Record<string, string>>): Promise<NodeProcess> {
  const port = await freePort()
  const env = { ...settings, HOST: '127.0.0.1', PORT: String(port) }
  const path = fileURLToPath(new URL(module, import.meta.url))
  const child = fork(path, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const host = `127.0.0.1:${port}`
  const stop = () => end(child)
  try {
    await waitUntilReady(child, host)
    return { pid: child.pid ?? 0, host, stop } // a child that answers has a pid
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * CPU that all threads of a process have used, user and system, in µs. What the scheduler books (`/proc/<pid>/task/<tid>/schedstat`, in ns) is the sum
 * of utime and stime in `/proc/<pid>/stat`, which comes in steps of 10 ms: too coarse for a slice. Linux only.
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
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${child.spawnargs.at(-1)} did not get ready`)
    await sleep(POLL_MS)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
