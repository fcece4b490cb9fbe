import Type, { type Static } from 'typebox'

const named = (title: string) => ({ title, additionalProperties: true })
// Any text: an invalid id is answered like an unknown job.
const ProcessId = Type.String({ maxLength: 1024 })

/**
 * All messages of clients; the scope of a socket accepts some of them. Unknown fields are ignored, unknown types
 * rejected.
 */
export const CLIENT_MESSAGES = {
  ping: Type.Object({ type: Type.Literal('ping') }, named('Ping')),
  auth: Type.Object({ type: Type.Literal('auth'), token: Type.String({ minLength: 1, maxLength: 16_384 }) }, named('Auth')),
  cancel: Type.Object({ type: Type.Literal('cancel') }, named('Cancel')),
  series: Type.Object(
    {
      type: Type.Literal('series'),
      process_id: Type.Optional(ProcessId),
      metric_name: Type.String({ maxLength: 256 }),
      from: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'points of the curve that the client has' }),
    },
    named('SeriesRequest'),
  ),
  subscribe: Type.Object(
    {
      type: Type.Literal('subscribe'),
      process_id: ProcessId,
      after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      epoch: Type.Optional(Type.String({ maxLength: 128 })),
      dialect: Type.Optional(Type.Enum(['process', 'run'], { description: 'of the messages about this job; default: process' })),
      log: Type.Optional(Type.Boolean({ description: 'also the lines of its log' })),
      log_after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      log_epoch: Type.Optional(Type.String({ maxLength: 128 })),
      series: Type.Optional(Type.Boolean({ description: 'also the curves of its metrics' })),
      artifacts: Type.Optional(Type.Boolean({ description: 'also the files that it stores' })),
      health: Type.Optional(Type.Boolean({ description: 'also whether it is stalled or stale' })),
    },
    named('Subscribe'),
  ),
  unsubscribe: Type.Object({ type: Type.Literal('unsubscribe'), process_id: ProcessId }, named('Unsubscribe')),
  cancel_process: Type.Object({ type: Type.Literal('cancel_process'), process_id: ProcessId }, named('CancelProcess')),
} as const

export type ClientMessageType = keyof typeof CLIENT_MESSAGES
export type ClientMessage = { [T in ClientMessageType]: Static<(typeof CLIENT_MESSAGES)[T]> }[ClientMessageType]
/** Messages that the session passes to its scope. */
export type ScopeMessage = Exclude<ClientMessage, { type: 'ping' | 'auth' }>
