import { secondsSinceStart } from '../core/elapsed.js'
import { inputOf, type JobState } from '../core/job-state.js'
import type { Kind, KindDialect } from '../core/kind.js'
import { storeClock } from '../core/store-clock.js'
import { deadlineOf } from '../core/timeout.js'
import { inSpan } from '../core/tracing.js'
import type { ArtifactService } from '../jobs/artifacts/artifact-service.js'
import { type Attempt, attemptAtStart, faultOfResult, lastProgress, overBeforeStart, startEvents } from '../jobs/attempt.js'
import { jsonValueOf, NotJson } from '../protocol/json-value.js'
import { isFinal } from '../protocol/status.js'
import type { Settled } from '../queue/queue.js'
import type { Broker, Heartbeats, WriteRejection } from '../storage/broker.js'
import type { TelemetryStore } from '../storage/telemetry.js'
import { attemptSpan, endOfAttempt } from './attempt-span.js'
import { deferred } from './deferred.js'
import { type BegunSeries, JobContext } from './job-context.js'
import { JobFiles } from './job-files.js'
import type { LogLimits } from './log-buffer.js'
import { type AnyProcessor, type Job, JobFailure, Stop, type StopCause } from './processor.js'
import { reportsOf } from './reports.js'
import { settleFailure, settleWrite } from './settled.js'
import type { WorkTally } from './work-tally.js'

/** One attempt at a job, as the queue hands it out. */
export interface Task {
  readonly kind: Kind
  readonly id: string
  readonly round: number
  /** Fencing token. It rises each time the queue hands out the job. */
  readonly token: number
  readonly input: unknown
}

/** Why an attempt has failed: an error of the processor, the error of a refused report, or the `Stop` that ended it. */
export interface AttemptFailure {
  readonly attempt: Attempt
  readonly error: unknown
  readonly logTail: string
}

export interface Runner {
  readonly broker: Broker & Heartbeats
  /**
   * How long a processor may ignore its signal, in ms, before it is ended by force, or abandoned if that is impossible.
   * Its writes are fenced from then on. The uploads of its artifacts end then as well.
   */
  readonly cancelGraceMs: number
  /** Receives the context, through which the job can be stopped. */
  onStart(context: JobContext): void
  /** Called at most once: the job has another writer, or is over. */
  onFenced?(reason: WriteRejection): void
  /** Its start was written. */
  onStarted?(): void
  /** The attempt has failed, but not by a cancel and not because the worker stops. */
  onFailed?(failure: AttemptFailure): void
  /** See `JobContextOptions`. */
  readonly unreachableMs?: number
  /** Maximum bytes of an event, as JSON. A larger result fails the attempt. */
  readonly maxEventBytes?: number
  /** Limits of the log of a job. */
  readonly log?: LogLimits
  /** See `JobContextOptions`. */
  readonly metricIntervalMs?: number
  /** Tells a worker that continues an attempt what there is of its curves. */
  readonly telemetry?: Pick<TelemetryStore, 'allSeries'>
  /** Counters of reports. */
  readonly tally?: WorkTally
  /** Stores artifacts. */
  readonly artifacts?: ArtifactService
  /** A fault of this machine that does not concern the job: its folder cannot be removed. */
  onFault?(error: unknown): void
}

/**
 * THE runner, for every kind. It publishes the start, runs the processor, and returns how the attempt ended for the
 * queue. It writes no final event: that follows after the queue has committed.
 */
export async function runJob(task: Task, processor: AnyProcessor, runner: Runner): Promise<Settled> {
  const state = (await runner.broker.read(task.id))?.state
  if (!state || state.round !== task.round || isFinal(state.status)) return { how: 'refused' }
  const attempt = attemptAtStart(state)
  const over = overBeforeStart(attempt, state)
  if (over) return over
  return inSpan(
    attemptSpan(attempt, state),
    async (traceparent) => {
      const context = contextOf(task, attempt, runner, { begun: await begunSeries(state, runner), traceparent })
      return runAttempt(task, processor, runner, { state, attempt, context })
    },
    endOfAttempt,
  )
}

interface Begun {
  readonly state: JobState
  readonly attempt: Attempt
  readonly context: JobContext
}

async function runAttempt(task: Task, processor: AnyProcessor, runner: Runner, { state, attempt, context }: Begun): Promise<Settled> {
  runner.onStart(context)
  const refusal = await context.write(startEvents(attempt))
  if (refusal) return settleWrite(attempt, context, refusal, { how: 'refused' })
  runner.onStarted?.()
  context.startHeartbeat()
  const timer = stopAtDeadline(context, state)
  const grace = graceOf(context, runner.cancelGraceMs)
  const files = filesOf(task, state, context, runner, grace.over)
  let running: Promise<object> | undefined
  try {
    const input = inputOf(state, task.input) // checked when it was submitted
    running = compute(processor, input, jobOf(task.kind, context, lastProgress(state), files))
    const result = plainResult(await grace.resultOf(running))
    await files.finish()
    await context.close()
    if (context.givenUp) throw context.givenUp
    const compute_time_s = context.elapsedSeconds
    const fault = faultOfResult(task, result, compute_time_s, runner.maxEventBytes)
    if (fault !== null) throw new JobFailure('solver_error', fault)
    return { how: 'done', result, compute_time_s }
  } catch (thrown) {
    await context.close()
    const cause: unknown = context.signal.aborted ? context.signal.reason : thrown
    // For a refused report, log the error itself, with the stack of its call.
    const error = cause instanceof Stop ? (cause.cause ?? cause) : cause
    if (!isHarmless(cause)) runner.onFailed?.({ attempt, error, logTail: context.logTail })
    return settleFailure(attempt, context, cause)
  } finally {
    clearTimeout(timer)
    await files.remove().catch((error: unknown) => runner.onFault?.(error))
    // A processor that is still running is ended by force when its time is over.
    if (running) running.then(grace.end, grace.end)
    else grace.end()
  }
}

/** The processor's view of its context. */
export function jobOf<D extends KindDialect>(
  kind: Kind & { readonly dialect: D },
  context: JobContext,
  last: object,
  files: Pick<JobFiles, 'artifact' | 'folder'>,
): Job<D> {
  const { id, signal, killed, traceparent } = context
  return {
    ...reportsOf(kind, context, last),
    id,
    traceparent,
    signal,
    killed,
    flush: () => context.flush(),
    log: (line) => context.log(line),
    artifact: (name, content) => files.artifact(name, content),
    folder: () => files.folder(),
    alive: () => context.alive(),
  }
}

function contextOf(
  { id, round, token }: Task,
  attempt: Attempt,
  runner: Runner,
  job: { readonly begun: BegunSeries | undefined; readonly traceparent: string | undefined },
): JobContext {
  const { broker, onFenced, unreachableMs, tally, log, metricIntervalMs } = runner
  const options = {
    attempt: attempt.number,
    log,
    unreachableMs,
    metricIntervalMs,
    ...job,
    ...(onFenced && { onFenced }),
    ...(tally && { tally }),
  }
  return new JobContext({ id, publisher: broker, writer: { round, token, n: 0 }, ...options })
}

function filesOf(
  { id, round, token }: Task,
  state: JobState,
  context: JobContext,
  { artifacts }: Runner,
  graceOver: AbortSignal,
): JobFiles {
  const stopped = new AbortController()
  const { signal } = context
  // A processor that should stop may still store what it has, until its time is over or it cannot write any more.
  signal.addEventListener('abort', () => {
    if (!(signal.reason instanceof Stop) || WITHOUT_WRITES.includes(signal.reason.why)) stopped.abort(signal.reason)
  })
  graceOver.addEventListener('abort', () => stopped.abort(signal.reason))
  return new JobFiles({
    id,
    writer: { round, token, n: 0 },
    artifacts: artifacts?.stores(state) === false ? null : artifacts,
    stopped: stopped.signal,
    log: (line) => context.log(line),
  })
}

/** Stops after which nothing can be written. */
const WITHOUT_WRITES: readonly StopCause[] = ['lost', 'unreachable', 'refused']

/** The curves of an attempt that another worker has returned to the queue. */
async function begunSeries(state: JobState, { telemetry }: Runner): Promise<BegunSeries | undefined> {
  if (!telemetry || state.status !== 'queued' || state.started_at === null) return undefined
  const { series = [] } = (await telemetry.allSeries(state.id)) ?? {}
  return { points: new Map(series.map(({ name, n }) => [name, n])), seconds: secondsSinceStart(state, storeClock.now()) }
}

/** Stops the job when the time of its execution is over. An execution that begins now has the full time. */
function stopAtDeadline(context: JobContext, state: JobState): NodeJS.Timeout | undefined {
  const now = storeClock.now()
  const leftMs = (deadlineOf(state) ?? now + state.timeoutMs) - now
  return Number.isFinite(leftMs) ? setTimeout(() => context.stop('timeout'), leftMs).unref() : undefined
}

/** Whether an attempt with this cause has not failed. */
function isHarmless(cause: unknown): boolean {
  return cause instanceof Stop && (cause.why === 'cancelled' || cause.why === 'stopping')
}

/**
 * The processor's result as the queue will return it: plain JSON. A value that is not JSON is final, since another
 * attempt would return it again.
 */
function plainResult<R extends object>(result: R): R {
  try {
    return jsonValueOf(result, 'The result is not valid') as R // the same value, as JSON
  } catch (error) {
    throw error instanceof NotJson ? new JobFailure('solver_error', error.message, { cause: error }) : error
  }
}

interface Grace {
  /** Aborted when it is over. */
  readonly over: AbortSignal
  /** As the processor settles. Rejects when it must not be awaited any more: its later output is ignored. */
  resultOf(running: Promise<object>): Promise<object>
  /** Call it when nothing of the attempt runs any more. */
  end(): void
}

/**
 * The time that an attempt has, once its signal is aborted. After it, what runs is ended by force: the processor, and
 * uploads of artifacts. If a report was refused, the attempt is over at once.
 */
function graceOf(context: JobContext, graceMs: number): Grace {
  const { signal } = context
  const over = new AbortController()
  const { promise: abandoned, reject } = deferred<never>()
  let isComputing = false
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    if (signal.reason instanceof Stop && signal.reason.why === 'refused') reject(signal.reason)
    timer = setTimeout(() => {
      if (isComputing) context.kill()
      over.abort()
      reject(signal.reason)
    }, graceMs)
  }
  if (signal.aborted) wait()
  else signal.addEventListener('abort', wait)
  const end = () => {
    signal.removeEventListener('abort', wait)
    clearTimeout(timer)
  }
  const resultOf = (running: Promise<object>) => {
    isComputing = true
    const ended = () => {
      isComputing = false
    }
    running.then(ended, ended)
    return Promise.race([running, abandoned])
  }
  return { over: over.signal, resultOf, end }
}

async function compute(processor: AnyProcessor, input: unknown, job: object): Promise<object> {
  return processor(input as never, job as never) // of its own kind
}
