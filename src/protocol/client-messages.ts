import Type, { type Static } from 'typebox'

const open = { additionalProperties: true }
// Any text: what is no id is answered like a job that does not exist.
const ProcessId = Type.String({ maxLength: 1024 })

/** Everything that a client may say; which socket takes what is its scope's. Unknown extra fields are let through, unknown types are not. */
export const CLIENT_MESSAGES = {
  ping: Type.Object({ type: Type.Literal('ping') }, open),
  auth: Type.Object({ type: Type.Literal('auth'), token: Type.String({ minLength: 1, maxLength: 16_384 }) }, open),
  cancel: Type.Object({ type: Type.Literal('cancel') }, open),
  subscribe: Type.Object(
    {
      type: Type.Literal('subscribe'),
      process_id: ProcessId,
      after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      epoch: Type.Optional(Type.String({ maxLength: 128 })),
    },
    open,
  ),
  unsubscribe: Type.Object({ type: Type.Literal('unsubscribe'), process_id: ProcessId }, open),
  cancel_process: Type.Object({ type: Type.Literal('cancel_process'), process_id: ProcessId }, open),
} as const

export type ClientMessageType = keyof typeof CLIENT_MESSAGES
export type ClientMessage = { [T in ClientMessageType]: Static<(typeof CLIENT_MESSAGES)[T]> }[ClientMessageType]
/** What a session leaves to its scope. */
export type ScopeMessage = Exclude<ClientMessage, { type: 'ping' | 'auth' }>
