import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { SolverEntry } from '../../src/config/solver.js'
import { eventually } from './eventually.js'
import { type Harness, startHarness } from './harness.js'
import { isRunning } from './is-running.js'
import type { TestClient } from './test-client.js'
import { startWorkerProcess } from './worker-process.js'

const PROGRAM = fileURLToPath(new URL('./scripted-program.js', import.meta.url))

/** A file with these solvers. Default command: the script of the same name in `scripted-program.ts`. */
export function solversFile(t: Test, ...solvers: (Partial<SolverEntry> & { name: string })[]): string {
  const whole = solvers.map((solver) => ({ command: process.execPath, args: [PROGRAM, solver.name], ...solver }))
  return join(t.testdir({ 'solvers.json': JSON.stringify({ solvers: whole }) }), 'solvers.json')
}

/** Two real hubs and, unless `settings` is null, a real worker process, with the same file. */
export async function startSolvers(
  t: Test,
  SOLVERS_FILE: string,
  settings: Readonly<Record<string, string>> | null = {},
): Promise<{ harness: Harness; worker: ChildProcess | undefined }> {
  const env = { SOLVERS_FILE, CANCEL_GRACE_MS: '1000', WORKER_LOCK_MS: '1000', ...settings }
  const harness = await startHarness(t, { nodes: 2, processor: null, env })
  return { harness, worker: settings === null ? undefined : startWorkerProcess(t, harness, env) }
}

/** Submits a run to a solver and watches it from its start over the other hub. */
export async function runSolver(
  h: Harness,
  solver: string,
  input: object = {},
  more: object = {},
): Promise<{ id: string; client: TestClient }> {
  const answer = await h.call('POST', '/api/v2/runs', { body: { solver, input, ...more } })
  if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  const id: string = answer.body.run_id
  return { id, client: await h.connect(id, { node: 1 }) }
}

/** The pids that a program reports. */
export async function pidsOf(client: TestClient): Promise<number[]> {
  return (await client.next('progress')).message.split(' ').map(Number)
}

/** Resolves when none of them runs. */
export function allEnded(pids: readonly number[]): Promise<boolean> {
  return eventually(() => pids.length > 0 && pids.every((pid) => !isRunning(pid)))
}
