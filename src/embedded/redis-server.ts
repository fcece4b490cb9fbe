import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { findRedis } from './find-redis.js'
import { freePort, isFree } from './redis-port.js'
import { redisReady } from './redis-ready.js'

const GUARD = fileURLToPath(new URL('./redis-guard.js', import.meta.url))
const PORT_ATTEMPTS = 5
const LINES_KEPT = 20

export interface RedisServerOptions {
  /**
   * Data folder, kept after the end. Default: a temporary folder, which is removed. One server per folder at a time: a
   * second one waits 10 s, then fails.
   */
  readonly dataDir?: string
  /** Default: a free port. */
  readonly port?: number
  /**
   * Password of clients, letters and digits; it is part of the url. Without it every user of this machine may use the
   * server.
   */
  readonly password?: string
  /** Receives the lines of the server's log. */
  readonly logger?: (line: string) => void
  /** Additional arguments of redis-server. They override the defaults: `['--appendfsync', 'no']`. */
  readonly extraArgs?: readonly string[]
}

/** A running embedded redis-server, reachable from this machine only. `pid` is that of redis-server. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly dataDir: string
  /** Resolves when the server has ended, by `stop` or by itself; its log says why. */
  readonly exited: Promise<void>
  /**
   * Stops the server (SIGTERM, all data written; SIGKILL after 5 s) and resolves when no process is left. Idempotent.
   */
  stop(): Promise<void>
}

/**
 * Starts a Redis (append-only file, no eviction) and resolves once it answers. It runs in a session of its own, so that
 * Ctrl-C in the terminal does not end it before its users. It still ends with this process, however this process ends
 * (see redis-guard.ts).
 * Rejects with the last lines of the server's log if it does not start. Costs a second, small Node process.
 */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { path } = await findRedis()
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    try {
      return await launch(path, port, options)
    } catch (error) {
      // Another process may take a free port before the server does. Only then is another port tried.
      if (options.port !== undefined || attempt === PORT_ATTEMPTS || (await isFree(port))) throw error
    }
  }
}

async function launch(binary: string, port: number, options: RedisServerOptions): Promise<RedisServer> {
  const isTemporary = options.dataDir === undefined
  const dataDir = isTemporary ? await mkdtemp(join(tmpdir(), 'runcast-redis-')) : resolve(options.dataDir)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const { password, extraArgs = [] } = options
  const files = password === undefined ? [] : [await writePassword(dataDir, password)]
  const args = [binary, isTemporary ? 'temporary' : 'kept', ...files, ...redisArguments(port, dataDir), ...extraArgs]
  const guard = fork(GUARD, args, { cwd: dataDir, detached: true, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const lines = readLines(guard, options.logger)
  const ended = new AbortController()
  // 'close' would do, but is not emitted after disconnect(): nodejs/node#65646. The pipes belong to redis-server too
  // and outlive a guard.
  const ends = [once(guard, 'exit'), ...pipesOf(guard).map((pipe) => once(pipe, 'close'))]
  const exited = Promise.all(ends).then(async () => {
    ended.abort()
    if (isTemporary) await rm(dataDir, { recursive: true, force: true }) // the guard has done it, unless it was killed
  })
  const stop = async (): Promise<void> => {
    if (guard.connected) guard.disconnect()
    await exited
  }
  try {
    const pid = await Promise.race([pidFrom(guard), exited])
    if (pid !== undefined) {
      // Only a guard that was killed leaves its server behind.
      guard.once('exit', (_code, signal) => signal !== null && endOrphan(pid))
      await redisReady({ port, pid, password }, ended.signal)
      if (!ended.signal.aborted)
        return { url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`, port, pid, dataDir, exited, stop }
    }
    throw new Error(`redis-server ended before it answered on port ${port}:\n${lines.join('\n')}`)
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * Writes a configuration file with the password, readable by its owner only: every user can read the arguments of a
 * process. Resolves to its path.
 */
async function writePassword(dataDir: string, password: string): Promise<string> {
  const path = join(dataDir, 'password.conf')
  await rm(path, { force: true })
  await writeFile(path, `requirepass ${password}\n`, { mode: 0o600 })
  return path
}

function redisArguments(port: number, dataDir: string): string[] {
  const settings = {
    port: `${port}`,
    bind: '127.0.0.1',
    'protected-mode': 'yes',
    daemonize: 'no',
    dir: dataDir,
    'maxmemory-policy': 'noeviction',
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
  }
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
}

async function pidFrom(guard: ChildProcess): Promise<number> {
  const [message] = (await once(guard, 'message')) as [{ pid: number }] // the guard's only message
  return message.pid
}

function endOrphan(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It has already ended.
  }
}

/** Passes the lines on and keeps the last ones. */
function readLines(guard: ChildProcess, logger: ((line: string) => void) | undefined): string[] {
  const lines: string[] = []
  for (const pipe of pipesOf(guard)) {
    createInterface({ input: pipe }).on('line', (line) => {
      lines.push(line)
      if (lines.length > LINES_KEPT) lines.shift()
      logger?.(line)
    })
  }
  return lines
}

function pipesOf({ stdout, stderr }: ChildProcess): Readable[] {
  return [stdout, stderr].filter((pipe) => pipe !== null)
}
