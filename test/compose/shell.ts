import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The package's folder. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export type Environment = Readonly<Record<string, string | undefined>>

export interface Outcome {
  /** Null where it could not be started or was ended by a signal. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Environment
  readonly cwd?: string
  readonly timeoutMs?: number
  /** Shows what it writes as it comes. */
  readonly isShown?: boolean
}

/** Runs a program to its end; never rejects. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { env = {}, cwd = ROOT, timeoutMs = 120_000, isShown = false } = options
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (data: Buffer) => {
        texts[name] += data
        if (isShown) process.stderr.write(data)
      })
    }
    child.on('error', (error) => resolve({ code: null, stdout: texts.stdout, stderr: error.message }))
    child.on('close', (code) => resolve({ code, ...texts }))
  })
}

/** The same; rejects with the last of what it wrote where it fails. Answers its output, trimmed. */
export async function mustRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${code}\n${`${stdout}\n${stderr}`.slice(-3000)}`)
  return stdout.trim()
}

/** Output of a program as lines, without empty ones. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}

export function say(line: string): void {
  process.stdout.write(`# ${line}\n`)
}
