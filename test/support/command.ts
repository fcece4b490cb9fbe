import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { eventually } from './eventually.js'

/** The command `runcast` as it is compiled. */
export const RUNCAST = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface CommandOptions {
  readonly cwd?: string
  /** Beside the environment of the test; undefined: not set. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** For its stdin. */
  readonly input?: string
  /** In a process group of its own, as a terminal starts it. */
  readonly detached?: boolean
}

/** What a command came to; `code` is null where a signal ended it. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs. Killed in the teardown if it still does. */
export interface Command {
  readonly child: ChildProcess
  /** What it has written so far. */
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<Ended>
  /** What the pattern finds on stdout, once it is there. Rejects with all that was written where the command ends before, or after a minute. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts a command. */
export function startCommand(t: Test, command: string, args: readonly string[], options: CommandOptions = {}): Command {
  const { cwd, env, input = '', detached = false } = options
  const written = { stdout: '', stderr: '' }
  const child = spawn(command, args, { env: { ...process.env, ...env }, detached, ...(cwd !== undefined && { cwd }) })
  child.stdin.on('error', () => {}).end(input) // one that does not read may have ended
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
    })
  }
  let hasEnded = false
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      hasEnded = true
      resolve({ code, ...written })
    })
  })
  t.teardown(async () => {
    if (!hasEnded) child.kill('SIGKILL')
    await ended.catch(() => {})
  })
  const printed = async (pattern: RegExp) => {
    await eventually(() => pattern.test(written.stdout) || hasEnded, { timeoutMs: 60_000 }).catch(() => {})
    const found = pattern.exec(written.stdout)
    if (!found) throw new Error(`${command} ${args.join(' ')} has not printed ${pattern} but: ${written.stdout}${written.stderr}`)
    return found
  }
  return {
    child,
    ended,
    printed,
    get stdout() {
      return written.stdout
    },
    get stderr() {
      return written.stderr
    },
  }
}

/** Runs `runcast` from the build to its end. */
export function runcast(t: Test, args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return startCommand(t, process.execPath, [RUNCAST, ...args], options).ended
}
