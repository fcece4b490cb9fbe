import Type, { type Static } from 'typebox'

export const Health = Type.Enum(['ok', 'stalled', 'stale'], {
  title: 'Health',
  description: 'stalled: alive, but no advance for 3 times its usual step; stale: no sign of life of its worker for STALE_MS',
})
export type Health = Static<typeof Health>

/** Fields of the message about the health of an active job, in either dialect. */
export const HealthFields = {
  health: Health,
  since: Type.Optional(
    Type.String({ format: 'date-time', description: 'the last advance of a stalled job, the last sign of life of a stale one' }),
  ),
}
