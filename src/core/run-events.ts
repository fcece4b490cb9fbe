import type { TSchema } from 'typebox'
import { RUN_MESSAGES, RUN_PHASES, type RunMessages, type RunSnapshot } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import { type JobEvent, messageOf } from './entry.js'
import type { JobRecord } from './job-record.js'
import { type Failure, type RetryNotice, type RoundStats, statsOf } from './lifecycle.js'
import { messageBuilder } from './message-builder.js'
import { storeClock } from './store-clock.js'

type Body<T extends keyof RunMessages> = Omit<RunMessages[T], 'type' | 'run_id' | 'timestamp'>

/** Last progress of an attempt, as final messages carry it. */
export type LastProgress = Pick<RunMessages['cancelled'], 'percent' | 'phase' | 'elapsed_s'>
/** What a final message says of the job's way up to it. */
export type RunEnd = LastProgress & Partial<RoundStats>

/**
 * What happens to a job that speaks the run dialect, as events: message, conflation key and class together. Each throws `TypeError` on a body that its
 * schema refuses.
 */
export function jobEvents(
  idField: string,
  messages: Readonly<Record<'metric_update' | 'status' | 'completed' | 'error' | 'cancelled', TSchema>>,
) {
  const message = messageBuilder(messages, (id) => ({ [idField]: id }))
  return {
    last: (state: JobRecord): RunEnd => ({ ...lastProgress(state), ...statsOf(state) }),

    metric: (id: string, name: string, value: number, unit: string): JobEvent => ({
      // First, since a name that the schema refuses may have no key.
      message: message('metric_update', id, { metric_name: name, value, unit }),
      key: metricKey(name),
      class: 'persisted',
    }),

    status: (id: string, to: Status, reason?: string, retry?: RetryNotice): JobEvent => ({
      key: 'status',
      class: 'persisted',
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
}

/** The same of a job that one worker computes from start to end, in phases `P`. */
export function computedEvents<P extends string>(
  idField: string,
  phases: readonly [P, ...P[]],
  messages: Readonly<Record<'progress' | 'metric_update' | 'status' | 'completed' | 'error' | 'cancelled', TSchema>>,
) {
  const message = messageBuilder(messages, (id) => ({ [idField]: id }))
  return {
    ...jobEvents(idField, messages),

    phases,

    progress: (id: string, body: Omit<Body<'progress'>, 'phase'> & { phase: P }): JobEvent => ({
      key: 'progress',
      class: 'transient',
      message: message('progress', id, body),
    }),
  }
}

/** What happens to a run. */
export const runEvents = computedEvents('run_id', RUN_PHASES, RUN_MESSAGES)

/** The last-known state as the one message that opens a socket (shape: `RunSnapshot`). */
export function runSnapshot(state: JobRecord): Omit<RunSnapshot, 'recovered' | 'resync'> {
  return { type: 'status', run_id: state.id, ...snapshotFields(state) }
}

/** What a snapshot of any kind says beside whose it is. */
export function snapshotFields(state: JobRecord): Omit<RunSnapshot, 'type' | 'run_id' | 'recovered' | 'resync'> {
  const progress = latest<'progress'>(state, 'progress')
  const last: LastProgress = { ...lastProgress(state), ...latest<'cancelled'>(state, 'final') }
  return {
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
    timestamp: storeClock.stamp(),
  }
}

/** A key has no blanks and is ASCII, since it is a word in the head of an envelope. Names that need no encoding are their own key. */
function metricKey(name: string): string {
  return `metric:${encodeURIComponent(name)}`
}

/** The last progress that a state knows. */
export function lastProgress(state: JobRecord): LastProgress {
  const progress = latest<'progress'>(state, 'progress')
  return progress ? { percent: progress.percent, phase: progress.phase, elapsed_s: progress.elapsed_s } : {}
}

function metricsOf(state: JobRecord): RunSnapshot['metrics'] {
  const updates = [...state.latest.keys()].filter((key) => key.startsWith('metric:')).map((key) => latest<'metric_update'>(state, key))
  // Not by assignment: a metric may be named `__proto__`.
  return Object.fromEntries(updates.flatMap((update) => (update ? [[update.metric_name, { value: update.value, unit: update.unit }]] : [])))
}

/** A stored message is what its builder has validated, so the type holds. */
function latest<T extends keyof RunMessages>(state: JobRecord, key: string): RunMessages[T] | undefined {
  const entry = state.latest.get(key)
  return entry && (messageOf(entry) as RunMessages[T])
}
