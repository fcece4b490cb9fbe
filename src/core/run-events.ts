import type { TSchema } from 'typebox'
import { RUN_MESSAGES, RUN_PHASES, type RunMessages, type RunSnapshot } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import { type JobEvent, messageOf } from './entry.js'
import type { JobRecord } from './job-record.js'
import { type Failure, type RetryNotice, type RoundStats, type StartNotice, statsOf } from './lifecycle.js'
import { messageBuilder } from './message-builder.js'
import { storeClock } from './store-clock.js'
import { aboutFields } from './words.js'

type Body<T extends keyof RunMessages> = Omit<RunMessages[T], 'type' | 'run_id' | 'timestamp'>

/** Last progress of an attempt, included in final messages. */
export type LastProgress = Pick<RunMessages['cancelled'], 'percent' | 'phase' | 'elapsed_s'>
/** Last progress and statistics of a final message. */
export type RunEnd = LastProgress & Partial<RoundStats>

/** Event builders of the run dialect. Each throws `TypeError` for a message that its schema rejects. */
export function jobEvents(
  idField: string,
  messages: Readonly<Record<'metric_update' | 'status' | 'completed' | 'error' | 'cancelled', TSchema>>,
) {
  const message = messageBuilder(messages, (id) => ({ [idField]: id }))
  return {
    last: (state: JobRecord): RunEnd => ({ ...lastProgress(state), ...statsOf(state) }),

    metric: (id: string, name: string, value: number, unit: string, step: number | null = null): JobEvent => ({
      // Built before the key: `encodeURIComponent` throws for some names that the schema rejects.
      message: message('metric_update', id, { metric_name: name, value, unit, ...(step !== null && { step }) }),
      key: metricKey(name),
      class: 'persisted',
    }),

    status: (id: string, to: Status, reason?: string, notice?: RetryNotice | StartNotice): JobEvent => ({
      key: 'status',
      class: 'persisted',
      to,
      message: message('status', id, { status: to, ...(reason !== undefined && { reason }), ...notice }),
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
      message: message('error', id, {
        error: failure.error,
        solver_log_tail: failure.log_tail,
        code: failure.own_code ?? failure.code,
        ...last,
      }),
    }),

    cancelled: (id: string, last: RunEnd, forced?: true): JobEvent => ({
      key: 'final',
      class: 'final',
      to: 'cancelled',
      message: message('cancelled', id, { ...last, ...(forced && { forced }) }),
    }),
  }
}

/** Event builders of a job that one worker computes from start to end. `P`: its phases. */
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

/** Event builders of runs. */
export const runEvents = computedEvents('run_id', RUN_PHASES, RUN_MESSAGES)

/** The snapshot of a run, without the flags of a connection. */
export function runSnapshot(state: JobRecord): Omit<RunSnapshot, 'recovered' | 'resync'> {
  return { type: 'status', run_id: state.id, ...snapshotFields(state) }
}

/** Fields of a snapshot of any kind with the run dialect. */
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
    ...aboutFields(state),
    seq: state.seq,
    epoch: state.epoch,
    timestamp: storeClock.stamp(),
  }
}

/** Encoded, because a key is one ASCII word in the header of an envelope. */
export function metricKey(name: string): string {
  return `metric:${encodeURIComponent(name)}`
}

/** The last progress of a state; empty without one. */
export function lastProgress(state: JobRecord): LastProgress {
  const progress = latest<'progress'>(state, 'progress')
  return progress ? { percent: progress.percent, phase: progress.phase, elapsed_s: progress.elapsed_s } : {}
}

function metricsOf(state: JobRecord): RunSnapshot['metrics'] {
  const updates = [...state.latest.keys()].filter((key) => key.startsWith('metric:')).map((key) => latest<'metric_update'>(state, key))
  // `fromEntries`, not assignment: a metric may be named `__proto__`.
  return Object.fromEntries(updates.flatMap((update) => (update ? [[update.metric_name, { value: update.value, unit: update.unit }]] : [])))
}

/** Stored messages were checked when they were built, so the cast holds. */
function latest<T extends keyof RunMessages>(state: JobRecord, key: string): RunMessages[T] | undefined {
  const entry = state.latest.get(key)
  return entry && (messageOf(entry) as RunMessages[T])
}
