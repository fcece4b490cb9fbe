import Type from 'typebox'
import { Timestamp } from './life-fields.js'
import { MAX_DELAY_MS, MAX_PRIORITY } from './turn.js'

const Priority = Type.Integer({ minimum: 0, maximum: MAX_PRIORITY, description: 'higher first among the jobs of one user; default: 0' })

/** When a job may start, as a submit gives it. No part of its input. */
export const TurnFields = {
  delay_ms: Type.Optional(
    Type.Integer({ minimum: 0, maximum: MAX_DELAY_MS, description: 'the job is queued, and starts so many ms after its submit or later' }),
  ),
  priority: Type.Optional(Priority),
}

export const NotBefore = Type.Optional({
  ...Timestamp,
  description: 'ISO 8601, UTC: the job does not start before; absent without a delay',
})

/** Fields of a state: when the job may start, and a priority that is not 0. */
export const TurnState = { not_before: NotBefore, priority: Type.Optional(Priority) }
