import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { HornInput } from '../../src/kinds/run/input.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Folder of the example. */
export const EXAMPLE = join(ROOT, 'examples/calculix')

/** A titanium horn for 20 kHz, 24 mm thick. `fields` replaces fields, also with unknown ones. */
export const hornInput = (over: Record<string, unknown> = {}): HornInput => ({
  material: 'ti-6al-4v',
  profile: 'uniform',
  width_mm: 25,
  height_mm: 126.71,
  thickness_mm: 24,
  target_frequency_hz: 20_000,
  amplitude_um: 20,
  mesh: { elements_x: 8, elements_y: 40 },
  sweep: { points: 21, span_pct: 5 },
  ...over,
})

/** The horns with recorded results of a real CalculiX. */
export type PlayedHorn = 'exponential' | 'stepped' | 'wide'
/** Output of CalculiX 2.20 for the deck of a horn. */
export const resultsOf = (horn: PlayedHorn) => join(ROOT, 'test/fixtures/calculix', `${horn}.dat`)

/** The configuration file of the example. */
const CONFIGURATION: { solvers: { command: string; args: string[]; cwd: string }[] } = JSON.parse(
  readFileSync(join(EXAMPLE, 'solvers.json'), 'utf8'),
)
const [SOLVER] = CONFIGURATION.solvers

/** A process of the solver, running or ended. */
export interface Running {
  readonly pid: number
  /** Output so far. */
  readonly stdout: string
  readonly stderr: string
  /** Events on stdout so far. */
  readonly events: readonly Readonly<Record<string, unknown>>[]
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>
}

/** Starts the solver of solvers.json in its own process group, with this text on stdin. */
export function startSolver(input: string, { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {}): Running {
  if (SOLVER === undefined) throw new Error('examples/calculix/solvers.json names no solver')
  const child = spawn(SOLVER.command, [...SOLVER.args, ...args], {
    cwd: join(EXAMPLE, SOLVER.cwd),
    env: { PATH: process.env.PATH, PYTHONDONTWRITEBYTECODE: '1', ...env },
    detached: true,
    timeout: 60_000,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {}).end(input) // EPIPE if it fails before it reads
  const ended = new Promise<number | string | null>((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)))
  return {
    pid: child.pid ?? 0, // 0 if it did not start
    ended,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    get events() {
      const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1)
      return whole.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
    },
  }
}

/** Starts the solver and waits for its end. */
export async function runSolver(input: unknown, options?: Parameters<typeof startSolver>[1]) {
  const running = startSolver(typeof input === 'string' ? input : JSON.stringify(input), options)
  const code = await running.ended
  return { code, stdout: running.stdout, lines: running.stderr.trimEnd().split('\n'), events: running.events }
}

/** An environment with this shell script as `ccx`, or without any, and a folder for temporary files to inspect. */
export function placeWith(t: Test, script?: string): { env: { PATH: string; TMPDIR: string }; temporary: string } {
  const place = t.testdir({ bin: {}, temporary: {} })
  const bin = join(place, 'bin')
  // The interpreter itself: python3 on PATH may be a script that needs the rest of that PATH.
  const { stdout } = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' })
  symlinkSync(stdout.trim(), join(bin, 'python3'))
  if (script !== undefined) writeFileSync(join(bin, 'ccx'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const temporary = join(place, 'temporary')
  return { env: { PATH: script === undefined ? bin : `${bin}:${process.env.PATH}`, TMPDIR: temporary }, temporary }
}
