import Type, { type Static } from 'typebox'
import { JobId } from './job-id.js'
import { Nullable } from './json-schema.js'
import { EtaSeconds, FailedBecause, Forced, JobStatus, RetryFields, StepSeconds, Timestamp, TraceId } from './life-fields.js'
import { NotBefore } from './turn-fields.js'
import { AboutFields, ChangedWords } from './words.js'

export const Percent = Type.Number({ minimum: 0, maximum: 100 })
export const Seconds = Type.Number({ minimum: 0 })
/** 1 to 128 characters, well-formed, without control characters. */
export const MetricName = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]{1,128}$' })
/** Maximum lengths of texts, in UTF-16 units. Longer ones are cut before they are published. */
export const MAX_TEXT = { message: 1000, unit: 32 } as const

/** The last progress, in final messages, so that a progress bar stops where the job stopped. */
const LastProgress = { percent: Type.Optional(Percent), phase: Type.Optional(Type.String()), elapsed_s: Type.Optional(Seconds) }
/** Attempts of the execution, seconds from its first start to its end (0 if it never started), and its trace. */
const StatsFields = { attempts: Type.Optional(Type.Integer({ minimum: 1 })), duration_s: Type.Optional(Seconds), trace_id: TraceId }

/**
 * Run dialect, hub to client, of one kind. `idField`: the field that holds the job id. Redis adds `seq`.
 */
export function jobMessages<const F extends string, const P extends string>(idField: F, phases: readonly P[]) {
  const head = { [idField]: JobId } as Record<F, typeof JobId> // its only field
  return {
    progress: Type.Object({
      type: Type.Literal('progress'),
      ...head,
      percent: Percent,
      phase: Type.Enum([...phases]),
      message: Type.String({ maxLength: MAX_TEXT.message }),
      elapsed_s: Seconds,
      eta_s: EtaSeconds,
      step_s: StepSeconds,
      timestamp: Timestamp,
    }),
    metric_update: Type.Object({
      type: Type.Literal('metric_update'),
      ...head,
      metric_name: MetricName,
      value: Type.Number(),
      unit: Type.String({ maxLength: MAX_TEXT.unit }),
      step: Type.Optional(Type.Number({ description: 'x of the value, if the job reports steps' })),
      n: Type.Optional(Type.Integer({ minimum: 1, description: 'number of points of the metric in this attempt, these included' })),
      timestamp: Timestamp,
    }),
    status: Type.Object({
      type: Type.Literal('status'),
      ...head,
      status: JobStatus,
      reason: Type.Optional(Type.String({ maxLength: 1000 })),
      ...RetryFields,
      not_before: NotBefore,
      timestamp: Timestamp,
    }),
    completed: Type.Object({
      type: Type.Literal('completed'),
      ...head,
      status: Type.Literal('completed'),
      compute_time_s: Seconds,
      metrics_summary: Type.Record(Type.String(), Type.Number()),
      ...LastProgress,
      ...StatsFields,
      timestamp: Timestamp,
    }),
    error: Type.Object({
      type: Type.Literal('error'),
      ...head,
      error: Type.String(),
      solver_log_tail: Type.String(),
      code: FailedBecause,
      ...LastProgress,
      ...StatsFields,
      timestamp: Timestamp,
    }),
    cancelled: Type.Object({
      type: Type.Literal('cancelled'),
      ...head,
      forced: Forced,
      ...LastProgress,
      ...StatsFields,
      timestamp: Timestamp,
    }),
  } as const
}

/**
 * The message about changed words of a job, in the run dialect. It has no `seq`: it is no entry of the job, and each
 * snapshot holds the same words.
 */
export function wordsMessage<const F extends string>(idField: F) {
  const head = { [idField]: JobId } as Record<F, typeof JobId> // its only field
  return Type.Object({ type: Type.Literal('words'), ...head, ...ChangedWords, timestamp: Timestamp })
}

/** The phases of a run, in order. */
export const RUN_PHASES = ['meshing', 'solving', 'postprocessing'] as const

export const RUN_MESSAGES = jobMessages('run_id', RUN_PHASES)

export type RunMessages = { [T in keyof typeof RUN_MESSAGES]: Static<(typeof RUN_MESSAGES)[T]> }

/** Fields of every snapshot, without the id. */
export const SnapshotFields = {
  status: JobStatus,
  attempt: Type.Integer({ minimum: 1 }),
  stale: Type.Boolean({ description: 'whether the worker of an active job has sent no heartbeat for STALE_MS' }),
  percent: Nullable(Percent),
  phase: Nullable(Type.String()),
  message: Nullable(Type.String()),
  elapsed_s: Nullable(Seconds),
  metrics: Type.Record(Type.String(), Type.Object({ value: Type.Number(), unit: Type.String() })),
  created_at: Timestamp,
  started_at: Nullable(Timestamp),
  finished_at: Nullable(Timestamp),
  ...AboutFields,
  seq: Type.Integer({ minimum: 0 }),
  epoch: Type.String(),
  recovered: Type.Optional(Type.Boolean()),
  resync: Type.Optional(Type.Boolean()),
  timestamp: Timestamp,
}

/** The snapshot of a run as one `status` message. Only a snapshot sets the position of a client. */
export const RunSnapshot = Type.Object({ type: Type.Literal('status'), run_id: JobId, ...SnapshotFields })
export type RunSnapshot = Static<typeof RunSnapshot>
