import { Compile } from 'typebox/compile'
import type { JobEvent } from './entry.js'
import { type JobState, messageOf } from './job-state.js'
import { type Effort, effortOf, type Failure, type RetryNotice } from './lifecycle.js'
import { RUN_MESSAGES, type RunMessages, type RunSnapshot } from './run-messages.js'
import type { Status } from './status.js'

type Body<T extends keyof RunMessages> = Omit<RunMessages[T], 'type' | 'run_id' | 'timestamp'>

/** Last progress of an attempt, as final messages carry it. */
export type LastProgress = Pick<RunMessages['cancelled'], 'percent' | 'phase' | 'elapsed_s'>
/** What a final message says of the job's way up to it. */
export type RunEnd = LastProgress & Partial<Effort>

const validators = {
  progress: Compile(RUN_MESSAGES.progress),
  metric_update: Compile(RUN_MESSAGES.metric_update),
  status: Compile(RUN_MESSAGES.status),
  completed: Compile(RUN_MESSAGES.completed),
  error: Compile(RUN_MESSAGES.error),
  cancelled: Compile(RUN_MESSAGES.cancelled),
}

/** What happens to a run, as events: message, conflation key and class together. Each throws `TypeError` on a body that its schema refuses. */
export const runEvents = {
  last: (state: JobState): RunEnd => ({ ...lastProgress(state), ...effortOf(state) }),

  progress: (id: string, body: Body<'progress'>): JobEvent => ({ key: 'progress', class: 'tick', message: message('progress', id, body) }),

  metric: (id: string, name: string, value: number, unit: string): JobEvent => ({
    key: `metric:${name}`,
    class: 'durable',
    message: message('metric_update', id, { metric_name: name, value, unit }),
  }),

  status: (id: string, to: Status, reason?: string, retry?: RetryNotice): JobEvent => ({
    key: 'status',
    class: 'durable',
    to,
    message: message('status', id, { status: to, ...(reason !== undefined && { reason }), ...retry }),
  }),

  completed: (id: string, result: { compute_time_s: number; metrics_summary: Record<string, number> }, last: RunEnd): JobEvent => ({
    key: 'final',
    class: 'final',
    to: 'completed',
    message: message('completed', id, { status: 'completed', ...result, ...last, percent: 100 }),
  }),

  failed: (id: string, failure: Failure, last: RunEnd): JobEvent => ({
    key: 'final',
    class: 'final',
    to: 'failed',
    message: message('error', id, { error: failure.error, solver_log_tail: failure.log_tail, code: failure.code, ...last }),
  }),

  cancelled: (id: string, last: RunEnd, forced?: true): JobEvent => ({
    key: 'final',
    class: 'final',
    to: 'cancelled',
    message: message('cancelled', id, { ...last, ...(forced && { forced }) }),
  }),
}

/** The last-known state as the one message that opens a socket (shape: `RunSnapshot`). */
export function runSnapshot(state: JobState): Omit<RunSnapshot, 'recovered' | 'resync'> {
  const progress = latest<'progress'>(state, 'progress')
  const last: LastProgress = { ...lastProgress(state), ...latest<'cancelled'>(state, 'final') }
  return {
    type: 'status',
    run_id: state.id,
    status: state.status,
    attempt: state.attempt,
    stale: state.stale,
    percent: last.percent ?? null,
    phase: last.phase ?? null,
    message: progress?.message ?? null,
    elapsed_s: last.elapsed_s ?? null,
    metrics: metricsOf(state),
    created_at: state.created_at,
    started_at: state.started_at,
    finished_at: state.finished_at,
    seq: state.seq,
    epoch: state.epoch,
    timestamp: new Date().toISOString(),
  }
}

/** The last progress that a state knows. */
export function lastProgress(state: JobState): LastProgress {
  const progress = latest<'progress'>(state, 'progress')
  return progress ? { percent: progress.percent, phase: progress.phase, elapsed_s: progress.elapsed_s } : {}
}

function metricsOf(state: JobState): RunSnapshot['metrics'] {
  const metrics: RunSnapshot['metrics'] = {}
  for (const key of state.latest.keys()) {
    if (!key.startsWith('metric:')) continue
    const update = latest<'metric_update'>(state, key)
    if (update) metrics[update.metric_name] = { value: update.value, unit: update.unit }
  }
  return metrics
}

/** A stored message is what `message()` below has validated, so the type holds. */
function latest<T extends keyof RunMessages>(state: JobState, key: string): RunMessages[T] | undefined {
  const entry = state.latest.get(key)
  return entry && (messageOf(entry) as RunMessages[T])
}

function message<T extends keyof RunMessages>(type: T, id: string, body: Body<T>): RunMessages[T] {
  const whole: unknown = { type, run_id: id, ...body, timestamp: new Date().toISOString() }
  const validator = validators[type]
  if (!validator.Check(whole)) {
    const [fault] = validator.Errors(whole)
    throw new TypeError(`${type} of ${id}: ${fault?.instancePath ?? ''} ${fault?.message ?? 'not valid'}`)
  }
  return whole as RunMessages[T]
}
