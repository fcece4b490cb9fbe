import Type, { type Static } from 'typebox'
import { JobId } from './job-id.js'
import { Nullable } from './json-schema.js'
import { EtaSeconds, FailedBecause, Forced, JobStatus, RetryFields, StepSeconds, Timestamp, TraceId } from './life-fields.js'
import { NotBefore } from './turn-fields.js'
import { AboutFields, ChangedWords } from './words.js'

const Seconds = Type.Number({ minimum: 0 })

/** Maximum lengths of the texts of a progress, in UTF-16 units. Longer ones are cut before they are published. */
export const MAX_TEXT = { detail: 1000, model: 200, phase: 64 } as const

/** Progress: `current` of `total` steps; for a run, percent of 100. */
export const ProcessProgress = Type.Object(
  {
    current: Type.Number({ minimum: 0 }),
    total: Nullable(Type.Number({ minimum: 0 }), { description: 'null: unknown' }),
    detail: Type.String({ maxLength: MAX_TEXT.detail }),
    model: Type.Optional(Type.String({ maxLength: MAX_TEXT.model, description: 'the measured language model' })),
    phase: Type.Optional(Type.String({ maxLength: MAX_TEXT.phase, description: 'of a run: the current phase' })),
    eta_s: EtaSeconds,
    step_s: StepSeconds,
  },
  { title: 'ProcessProgress', additionalProperties: true, description: 'A kind can add fields.' },
)
export type ProcessProgress = Static<typeof ProcessProgress>

/** `processType` of a kind: `solver` for runs, for others by default the name of the kind. */
const ProcessType = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
const Head = { process_id: JobId, process_type: ProcessType }
/** The hub adds it to every message of a child job. */
export const ParentField = { parent_id: AboutFields.parent_id }
const Why = { reason: Type.Optional(Type.String({ maxLength: 1000 })) }
/** Fields of final messages: the last progress, and statistics of the execution. */
const Last = {
  progress: Type.Optional(ProcessProgress),
  attempts: Type.Optional(Type.Integer({ minimum: 1, description: 'attempts of this round' })),
  duration_s: Type.Optional(Type.Number({ minimum: 0, description: 'seconds from the first start to the end of the round' })),
  trace_id: TraceId,
}

function message<const T extends string, P extends Record<string, Parameters<typeof Type.Array>[0]>>(type: T, fields: P) {
  return Type.Object({ type: Type.Literal(type), ...Head, ...fields, timestamp: Timestamp })
}

/** Process dialect, hub to client. Redis adds `seq`. */
export const PROCESS_MESSAGES = {
  process_queued: message('process_queued', { ...Why, not_before: NotBefore }),
  process_started: message('process_started', Why),
  process_retrying: message('process_retrying', { ...Why, ...RetryFields }),
  process_paused: message('process_paused', Why),
  process_cancelling: message('process_cancelling', Why),
  process_progress: message('process_progress', { progress: ProcessProgress }),
  process_result: message('process_result', { result: Type.Object({}, { additionalProperties: true }) }),
  process_completed: message('process_completed', {
    result: Type.Object({}, { additionalProperties: true }),
    compute_time_s: Seconds,
    ...Last,
  }),
  process_failed: message('process_failed', {
    error: Type.String(),
    code: FailedBecause,
    log_tail: Type.Optional(Type.String({ description: 'the last lines of the log, if there are any' })),
    ...Last,
  }),
  process_cancelled: message('process_cancelled', { forced: Forced, ...Last }),
} as const

export type ProcessMessages = { [T in keyof typeof PROCESS_MESSAGES]: Static<(typeof PROCESS_MESSAGES)[T]> }
export type ProcessMessage = ProcessMessages[keyof ProcessMessages]

/** Words of a process have changed. No entry: without `seq`, and each state holds the same words. */
export const ProcessWords = Type.Object(
  { type: Type.Literal('process_words'), ...Head, ...ParentField, ...ChangedWords, timestamp: Timestamp },
  { title: 'ProcessWords' },
)
export type ProcessWords = Static<typeof ProcessWords>

/** The state of a job of any kind as a process. */
export const ProcessView = Type.Object(
  {
    ...Head,
    status: JobStatus,
    attempt: Type.Integer({ minimum: 1 }),
    stale: Type.Boolean(),
    progress: Nullable(ProcessProgress),
    created_at: Timestamp,
    started_at: Nullable(Timestamp),
    finished_at: Nullable(Timestamp),
    ...AboutFields,
    seq: Type.Integer({ minimum: 0 }),
    epoch: Type.String(),
  },
  { title: 'ProcessView' },
)
export type ProcessView = Static<typeof ProcessView>

/** The first message of a user's socket: all active processes, and some that have ended. */
export const ProcessList = Type.Object({
  type: Type.Literal('process_list'),
  processes: Type.Array(ProcessView),
  recent: Type.Array(ProcessView),
  resync: Type.Optional(Type.Literal(true)),
  timestamp: Timestamp,
})
export type ProcessList = Static<typeof ProcessList>

/**
 * The answer to `subscribe`: state and position. `recovered`: exactly the messages missed since the seq `after` follow.
 * Earlier versions have no `after`.
 */
export const ProcessSnapshot = Type.Object({
  type: Type.Literal('subscribed'),
  process_id: JobId,
  process: ProcessView,
  seq: Type.Integer({ minimum: 0 }),
  epoch: Type.String(),
  recovered: Type.Boolean(),
  after: Type.Optional(Type.Integer({ minimum: 0 })),
  resync: Type.Optional(Type.Literal(true)),
  timestamp: Timestamp,
})
export type ProcessSnapshot = Static<typeof ProcessSnapshot>
