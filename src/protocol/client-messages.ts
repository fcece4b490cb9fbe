import Type, { type Static } from 'typebox'

const open = { additionalProperties: true }

/** Everything a client may say on a job's socket. Unknown extra fields are let through, unknown types are not. */
export const CLIENT_MESSAGES = {
  ping: Type.Object({ type: Type.Literal('ping') }, open),
  auth: Type.Object({ type: Type.Literal('auth'), token: Type.String({ minLength: 1, maxLength: 16_384 }) }, open),
  cancel: Type.Object({ type: Type.Literal('cancel') }, open),
} as const

export type ClientMessage = { [T in keyof typeof CLIENT_MESSAGES]: Static<(typeof CLIENT_MESSAGES)[T]> }[keyof typeof CLIENT_MESSAGES]
