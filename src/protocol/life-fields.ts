import Type from 'typebox'
import { FAILURE_CODES } from './codes.js'
import { FAILURE_CODE_PATTERN } from './failure.js'
import { Nullable } from './json-schema.js'
import { STATUSES } from './status.js'

export const JobStatus = Type.Enum([...STATUSES], { title: 'JobStatus' })

export const Timestamp = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })

/** Why a job failed. */
export const FailedBecause = Type.String({
  title: 'FailureCode',
  pattern: FAILURE_CODE_PATTERN,
  description: `${FAILURE_CODES.join(', ')}, or a code of the kind's own`,
})

/** Fields of both dialects about the failed attempt, in a message about the next one (`RetryNotice`). */
export const RetryFields = {
  max_attempts: Type.Optional(Type.Integer({ minimum: 1, description: 'maximum attempts of a round' })),
  delay_ms: Type.Optional(Type.Integer({ minimum: 0, description: 'delay before the next attempt, in ms' })),
  error: Type.Optional(Type.String({ maxLength: 1000, description: 'error of the failed attempt' })),
}

/** In final messages: the trace of the job, if it has one. */
export const TraceId = Type.Optional(Type.String({ description: 'W3C Trace Context: the trace of the submit' }))

/** Estimated rest of the work, in a progress. */
export const EtaSeconds = Type.Optional(
  Nullable(Type.Number({ minimum: 0 }), { description: 'estimated seconds until the attempt completes; null: unknown' }),
)

/** Usual time between two advances of the work, in a progress. */
export const StepSeconds = Type.Optional(
  Nullable(Type.Number({ minimum: 0 }), { description: 'usual seconds between two advances of the work; null: unknown' }),
)

/** Present if the processor ignored the cancel and was ended by force. */
export const Forced = Type.Optional(Type.Literal(true))
