import type { Broker, WriteRefusal } from '../src/broker/broker.js'
import type { Outcome } from '../src/jobs/queue.js'
import { type InputOf, type KindName, lifecycleOf, type ResultOf } from '../src/protocol/kinds.js'
import { isFinal } from '../src/protocol/status.js'
import { JobContext, Stop } from './job-context.js'
import { type Job, JobFailure, type Processor } from './processor.js'
import { REPORTS, type Reports } from './reports.js'

/** One try at a job, as the queue hands it out. */
export interface Task<K extends KindName> {
  readonly kind: K
  readonly id: string
  readonly round: number
  /** Fencing token: rises each time that the queue hands the job out. */
  readonly token: number
  readonly input: InputOf<K>
  readonly isLastAttempt: boolean
}

const MAX_ERROR_CHARS = 4000

/** How a try ended, for the queue to commit. `refused`: the job is not this worker's, or not to be run any more. */
export type Settled =
  | { readonly how: 'done'; readonly result: unknown; readonly compute_time_s: number }
  | { readonly how: 'ended'; readonly outcome: Exclude<Outcome, { status: 'completed' }> }
  | { readonly how: 'retry'; readonly error: Error }
  | { readonly how: 'handed back' }
  | { readonly how: 'refused' }

export interface Runner {
  readonly broker: Broker
  /** How long a processor may ignore its signal before it is left behind. Its writes are fenced from then on. */
  readonly cancelGraceMs: number
}

/**
 * THE runner, for every kind: announces the start, runs the processor, and tells the queue how it ended. It writes no final event:
 * that comes after the queue has committed. `onStart` gets the context, through which the job can be stopped.
 */
export async function runJob<K extends KindName>(
  task: Task<K>,
  processor: Processor<K>,
  runner: Runner,
  onStart: (context: JobContext) => void,
): Promise<Settled> {
  const state = (await runner.broker.read(task.id))?.state
  if (!state || state.round !== task.round || isFinal(state.status)) return { how: 'refused' }
  const { id, kind, round, token } = task
  // Handed back, the job goes on in the same attempt, so its bar may not fall; otherwise a new attempt begins at 0.
  const events = lifecycleOf(kind)
  const last = state.status === 'queued' ? events.last(state) : {}
  const context = new JobContext({ id, publisher: runner.broker, writer: { round, token, n: 0 } })
  onStart(context)
  const lostWorker = { ...events.status(id, 'retrying', 'the worker was lost'), clears: 'attempt', optional: true } as const
  const refusal = await context.write([lostWorker, events.status(id, 'running')])
  if (refusal) return settleWrite(refusal, { how: 'refused' })
  try {
    const result = await Promise.race([processor(task.input, jobOf(kind, context, last)), deaf(context.signal, runner.cancelGraceMs)])
    await context.close()
    const compute_time_s = context.elapsedSeconds
    checkResult(task, result, compute_time_s)
    return { how: 'done', result, compute_time_s }
  } catch (error) {
    await context.close()
    return settleFailure(task, context, context.signal.aborted ? context.signal.reason : error)
  }
}

/** What the processor sees of its context. */
export function jobOf<K extends KindName>(kind: K, context: JobContext, last: object): Job<K> {
  const { id, signal } = context
  const reports: Reports[K] = REPORTS[kind](context, last)
  return { ...reports, id, signal, flush: () => context.flush(), log: (line) => context.log(line) }
}

/** A result that no `completed` message can carry is a failure now, not a job that never ends. Throws `JobFailure`. */
function checkResult<K extends KindName>(task: Task<K>, result: ResultOf<K>, compute_time_s: number): void {
  try {
    lifecycleOf(task.kind).completed(task.id, { ...result, compute_time_s }, {})
  } catch (error) {
    throw new JobFailure('solver_error', `The result is not valid: ${error instanceof Error ? error.message : error}`)
  }
}

async function settleFailure<K extends KindName>(task: Task<K>, context: JobContext, error: unknown): Promise<Settled> {
  const failed = (code: 'solver_error' | JobFailure['code'], message: string): Settled => ({
    how: 'ended',
    outcome: { status: 'failed', code, error: message.slice(0, MAX_ERROR_CHARS), log_tail: context.logTail },
  })
  const events = lifecycleOf(task.kind)
  if (error instanceof Stop) {
    switch (error.why) {
      case 'cancelled':
        return { how: 'ended', outcome: { status: 'cancelled' } }
      case 'refused':
        return failed('solver_error', 'The job reported more, or faster, than a job may.')
      case 'stopping':
        return settleWrite(await context.write([events.status(task.id, 'queued', 'the worker stops')]), { how: 'handed back' })
      case 'lost':
        return { how: 'refused' }
      case 'unreachable':
        return { how: 'retry', error }
    }
  }
  if (error instanceof JobFailure) return failed(error.code, error.message)
  const fault = error instanceof Error ? error : new Error(String(error))
  if (task.isLastAttempt) return failed('solver_error', fault.message)
  const refusal = await context.write([{ ...events.status(task.id, 'retrying', fault.message.slice(0, 1000)), clears: 'attempt' }])
  return settleWrite(refusal, { how: 'retry', error: fault })
}

/** What a transition of the runner comes to. Between start and end only a cancel can be in its way, or a Redis that cannot be reached. */
function settleWrite(refusal: WriteRefusal | 'unreachable' | null, wanted: Settled): Settled {
  if (refusal === null) return wanted
  if (refusal === 'unreachable') return { how: 'retry', error: new Stop('unreachable') }
  return refusal === 'transition' ? { how: 'ended', outcome: { status: 'cancelled' } } : { how: 'refused' }
}

/** Rejects when a processor has not obeyed its signal in time. */
function deaf(signal: AbortSignal, graceMs: number): Promise<never> {
  return new Promise((_, reject) => {
    const wait = () => setTimeout(() => reject(signal.reason), graceMs).unref()
    if (signal.aborted) wait()
    else signal.addEventListener('abort', wait, { once: true })
  })
}
