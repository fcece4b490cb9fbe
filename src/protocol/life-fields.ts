import Type from 'typebox'

/** Fields of both dialects: what a message about a new attempt says of the one that failed (`RetryNotice`). */
export const RetryFields = {
  max_attempts: Type.Optional(Type.Integer({ minimum: 1, description: 'attempts of a round' })),
  delay_ms: Type.Optional(Type.Integer({ minimum: 0, description: 'how long the job waits before the next attempt' })),
  error: Type.Optional(Type.String({ maxLength: 1000, description: 'what the attempt failed of' })),
}

/** There where a job was cancelled whose processor did not obey: it was ended. */
export const Forced = Type.Optional(Type.Literal(true))
