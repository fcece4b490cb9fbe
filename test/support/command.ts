import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runCli } from '../../src/cli/run-cli.js'
import { eventually } from './eventually.js'

/** The compiled command `runcast`. */
export const RUNCAST = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface CommandOptions {
  readonly cwd?: string
  /** Added to the environment of the test; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Written to stdin. */
  readonly input?: string
  /** Starts it in its own process group, as a terminal does. */
  readonly detached?: boolean
}

/** Result of a command. `code` is null if a signal ended it. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running command, killed in the teardown. */
export interface Command {
  readonly child: ChildProcess
  /** Output so far. */
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<Ended>
  /** Waits for a match on stdout. Rejects with all output if the command ends before, or after a minute. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts a command. */
export function startCommand(t: Test, command: string, args: readonly string[], options: CommandOptions = {}): Command {
  const { cwd, env, input = '', detached = false } = options
  const written = { stdout: '', stderr: '' }
  const child = spawn(command, args, { env: { ...process.env, ...env }, detached, ...(cwd !== undefined && { cwd }) })
  child.stdin.on('error', () => {}).end(input) // EPIPE if it ends before it reads
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

/** Runs the compiled `runcast` to its end. */
export function runcast(t: Test, args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return startCommand(t, process.execPath, [RUNCAST, ...args], options).ended
}

/**
 * The same in this process, which is faster. No assertion may run meanwhile, because the command writes to stdout. `env`
 * stays set.
 */
export async function runcastInProcess(t: Test, args: readonly string[], env: CommandOptions['env'] = {}): Promise<Ended> {
  for (const [name, value] of Object.entries(env)) process.env[name] = value ?? ''
  const [out, err] = [process.stdout, process.stderr].map((stream) => t.capture(stream, 'write', () => true))
  const code = await runCli(args)
  const textOf = (written: typeof out) => {
    written?.restore()
    return (written?.() ?? []).map((call) => call.args[0]).join('')
  }
  return { code: code ?? null, stdout: textOf(out), stderr: textOf(err) }
}
