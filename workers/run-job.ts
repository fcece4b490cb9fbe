import type { Broker, Pulse, WriteRefusal } from '../src/broker/broker.js'
import { attemptAtStart, faultOfResult, lastOf, overBeforeStart, startOf } from '../src/jobs/attempt.js'
import type { Settled } from '../src/jobs/queue.js'
import { inputOf, type JobState } from '../src/protocol/job-state.js'
import type { ComputedKindName, InputOf, ResultOf } from '../src/protocol/kinds.js'
import { isFinal } from '../src/protocol/status.js'
import { deadlineOf } from '../src/protocol/timeout.js'
import { JobContext } from './job-context.js'
import { type Job, JobFailure, type Processor } from './processor.js'
import { reportsOf } from './reports.js'
import { settleFailure, settleWrite } from './settle.js'
import type { WorkTally } from './work-tally.js'

/** One try at a job, as the queue hands it out. */
export interface Task<K extends ComputedKindName> {
  readonly kind: K
  readonly id: string
  readonly round: number
  /** Fencing token: rises each time that the queue hands the job out. */
  readonly token: number
  readonly input: InputOf<K>
}

export interface Runner {
  readonly broker: Broker & Pulse
  /** How long a processor may ignore its signal before it is ended by force, or left behind where it cannot be. Its writes are fenced from then on. */
  readonly cancelGraceMs: number
  /** Gets the context, through which the job can be stopped. */
  onStart(context: JobContext): void
  /** Once at most: the job has another writer, or is over. */
  onFenced?(reason: WriteRefusal): void
  /** Its start was written. */
  onStarted?(): void
  /** Where reports are counted. */
  readonly tally?: WorkTally
}

/** THE runner, for every kind: announces the start, runs the processor, and tells the queue how it ended. It writes no final event: that comes after the queue has committed. */
export async function runJob<K extends ComputedKindName>(task: Task<K>, processor: Processor<K>, runner: Runner): Promise<Settled> {
  const state = (await runner.broker.read(task.id))?.state
  if (!state || state.round !== task.round || isFinal(state.status)) return { how: 'refused' }
  const attempt = attemptAtStart(state)
  const over = overBeforeStart(attempt, state)
  if (over) return over
  const context = contextOf(task, runner)
  runner.onStart(context)
  const refusal = await context.write(startOf(attempt))
  if (refusal) return settleWrite(attempt, context, refusal, { how: 'refused' })
  runner.onStarted?.()
  context.startBeating()
  const timer = stopAtDeadline(context, state)
  try {
    const input = inputOf(state, task.input) as InputOf<K> // checked when it was submitted
    const result = await compute({ ...task, input }, processor, context, { last: lastOf(state), graceMs: runner.cancelGraceMs })
    await context.close()
    const compute_time_s = context.elapsedSeconds
    const fault = faultOfResult(task, result, compute_time_s)
    if (fault !== null) throw new JobFailure('solver_error', fault)
    return { how: 'done', result, compute_time_s }
  } catch (error) {
    await context.close()
    return settleFailure(attempt, context, context.signal.aborted ? context.signal.reason : error)
  } finally {
    clearTimeout(timer)
  }
}

/** What the processor sees of its context. */
export function jobOf<K extends ComputedKindName>(kind: K, context: JobContext, last: object): Job<K> {
  const { id, signal, killed } = context
  return {
    ...reportsOf(kind, context, last),
    id,
    signal,
    killed,
    flush: () => context.flush(),
    log: (line) => context.log(line),
    alive: () => context.alive(),
  }
}

function contextOf({ id, round, token }: Task<ComputedKindName>, { broker, onFenced, tally }: Runner): JobContext {
  return new JobContext({ id, publisher: broker, writer: { round, token, n: 0 }, ...(onFenced && { onFenced }), ...(tally && { tally }) })
}

/** Stops the job when the time of its round runs out. A round that begins now has all of it. */
function stopAtDeadline(context: JobContext, state: JobState): NodeJS.Timeout | undefined {
  const leftMs = (deadlineOf(state) ?? Date.now() + state.timeoutMs) - Date.now()
  return Number.isFinite(leftMs) ? setTimeout(() => context.stop('timeout'), leftMs).unref() : undefined
}

/** Runs the processor. Rejects when it has not obeyed its signal in time, and ends it by force; what it may say then is not heard. */
async function compute<K extends ComputedKindName>(
  { kind, input }: Task<K>,
  processor: Processor<K>,
  context: JobContext,
  { last, graceMs }: { last: object; graceMs: number },
): Promise<ResultOf<K>> {
  const { signal } = context
  const { promise: deaf, reject } = withReject()
  let grace: NodeJS.Timeout | undefined
  const wait = () => {
    grace = setTimeout(() => {
      context.kill()
      reject(signal.reason)
    }, graceMs)
  }
  if (signal.aborted) wait()
  else signal.addEventListener('abort', wait)
  try {
    return await Promise.race([processor(input, jobOf(kind, context, last)), deaf])
  } finally {
    signal.removeEventListener('abort', wait)
    clearTimeout(grace)
  }
}

function withReject(): { promise: Promise<never>; reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<never>((_, fail) => {
    reject = fail
  })
  return { promise, reject }
}
