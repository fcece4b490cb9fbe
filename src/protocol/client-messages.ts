import Type, { type Static } from 'typebox'

const open = { additionalProperties: true }
// Any text: an invalid id is answered like an unknown job.
const ProcessId = Type.String({ maxLength: 1024 })

/**
 * All messages of clients; the scope of a socket accepts some of them. Unknown fields are ignored, unknown types
 * rejected.
 */
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
/** Messages that the session passes to its scope. */
export type ScopeMessage = Exclude<ClientMessage, { type: 'ping' | 'auth' }>
