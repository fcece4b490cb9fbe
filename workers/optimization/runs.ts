import { messageOf } from '../../src/core/entry.js'
import type { JobState } from '../../src/core/job-state.js'
import type { JobService } from '../../src/jobs/job-service.js'
import { type OptimizationInput, runInputOf } from '../../src/kinds/optimization/input.js'
import { type CodeName, RuncastError } from '../../src/protocol/codes.js'
import type { RunMessages } from '../../src/protocol/run-messages.js'
import { isFinal, type Status } from '../../src/protocol/status.js'
import type { Broker } from '../../src/storage/broker.js'
import { type Candidate, parametersOf } from './optimizer.js'
import type { Outcome } from './problem.js'

/** A run that is refused with one of these codes would be refused again. */
const LASTING: readonly CodeName[] = ['invalid', 'id_taken', 'other_input', 'too_big']

export interface RunPorts {
  readonly broker: Pick<Broker, 'read'>
  readonly jobs: Pick<JobService, 'submit'>
}

/**
 * State of a candidate's run: `waiting` for a worker, computing, or ended. `held`: it is not submitted yet, since that
 * is not possible now.
 */
export type RunState =
  | { readonly at: 'waiting' | 'computed' }
  | { readonly at: 'held'; readonly why: string }
  | { readonly at: 'ended'; readonly outcome: Outcome }

/**
 * Reads the state of a candidate's run, and submits the run if it does not exist: it is new, or a step died before the
 * submit. A run that can never be submitted counts as ended. Rejects if Redis cannot be reached.
 */
export async function lookAtRun(
  { broker, jobs }: RunPorts,
  { state: optimization, input }: { readonly state: JobState; readonly input: OptimizationInput },
  { point, run_id }: Candidate & { run_id: string },
): Promise<RunState> {
  const known = (await broker.read(run_id))?.state
  if (known) return runStateOf(known)
  // A run of a paused optimization is withdrawn as it is.
  if (optimization.status === 'paused') return { at: 'waiting' }
  try {
    const parameters = Object.entries(parametersOf(input, point))
    const { solver, base } = input
    const run = { id: run_id, owner: optimization.owner, kind: 'run', parent: optimization.id, ...inheritedBy(optimization) } as const
    return runStateOf(await jobs.submit({ ...run, solver, input: runInputOf(base, parameters) }))
  } catch (error) {
    if (!(error instanceof RuncastError)) throw error
    if (isOfTheSolver(error)) return { at: 'held', why: `No worker with the solver ${input.solver} has taken a step (SOLVERS_FILE).` }
    if (error.code === 'quota') return { at: 'held', why: error.message }
    if (!LASTING.includes(error.code)) throw error
    return { at: 'ended', outcome: { failure: reasonOf(error) } }
  }
}

/** A run has the trace and the priority of its optimization. */
function inheritedBy({ traceparent, priority }: JobState): { traceparent?: string; priority?: number } {
  return { ...(traceparent !== undefined && { traceparent }), ...(priority !== undefined && { priority }) }
}

function runStateOf(run: JobState): RunState {
  if (isFinal(run.status)) return { at: 'ended', outcome: outcomeOf(run) }
  const waiting: readonly Status[] = ['queued', 'retrying']
  return { at: waiting.includes(run.status) ? 'waiting' : 'computed' }
}

function outcomeOf(run: JobState): Outcome {
  const entry = run.latest.get('final')
  const final = entry && (messageOf(entry) as RunMessages['completed' | 'error' | 'cancelled']) // of the kind `run`
  switch (final?.type) {
    case 'completed':
      return { metrics: final.metrics_summary }
    case 'error':
      return { failure: final.error }
    default:
      return { failure: 'it was cancelled' }
  }
}

/** A solver that is unknown here says nothing about the point: another worker may know it. */
function isOfTheSolver({ issues }: RuncastError): boolean {
  return issues.some(({ path }) => path === '/solver')
}

function reasonOf({ message, issues }: RuncastError): string {
  return [message, ...issues.map(({ path, expected }) => `${path}: expected ${expected}`)].join(' ')
}
