import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const CONFIGURATION = fileURLToPath(new URL('../../../examples/calculix/solvers.json', import.meta.url))
const HELP = 'run "node scripts/bootstrap.mjs --calculix"'
const TIMEOUT_MS = 120_000

/**
 * Runs the solver of `examples/calculix`, as configured in its solvers.json, with this input, and returns the metrics
 * of its last event. Takes some seconds. Rejects with the last line of its log, or, if python3 or CalculiX is missing,
 * with the command that installs it.
 */
export async function solveWithCalculix(input: unknown): Promise<Readonly<Record<string, number>>> {
  const configuration: { solvers: { command: string; args: string[]; cwd: string }[] } = JSON.parse(readFileSync(CONFIGURATION, 'utf8'))
  const [solver] = configuration.solvers
  if (solver === undefined) throw new Error(`${CONFIGURATION} names no solver`)
  const child = spawn(solver.command, solver.args, { cwd: join(dirname(CONFIGURATION), solver.cwd), timeout: TIMEOUT_MS })
  child.stdin.on('error', () => {}).end(JSON.stringify(input)) // EPIPE if it ends before it reads
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).catch((error: unknown) => {
    throw new Error(`${solver.command} cannot be run: ${HELP}`, { cause: error })
  })
  if (child.exitCode !== 0) {
    const last = stderr.trimEnd().split('\n').at(-1) ?? ''
    throw new Error(last.startsWith('CalculiX is not installed') ? `${last}; or ${HELP}` : `${solver.args.join(' ')}: ${last}`)
  }
  const completed: { type: string; metrics_summary: Record<string, number> } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}')
  if (completed.type !== 'completed') throw new Error(`${solver.args.join(' ')} ended with ${JSON.stringify(completed)}`)
  return completed.metrics_summary
}
