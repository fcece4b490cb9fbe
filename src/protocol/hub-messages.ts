import Type from 'typebox'
import { CODES, type CodeName } from './codes.js'
import { JobId } from './job-id.js'
import { Nullable } from './json-schema.js'
import { JobStatus, Timestamp } from './life-fields.js'

const Code = Type.Enum(Object.keys(CODES) as CodeName[])
const Ms = (description: string) => Type.Integer({ minimum: 0, description: `${description}, in ms` })

function message<const T extends string, P extends Record<string, Parameters<typeof Type.Array>[0]>>(type: T, fields: P, title: string) {
  return Type.Object({ type: Type.Literal(type), ...fields }, { title })
}

/** The hub's own messages on sockets and streams: what they say is of the connection, not of a job. */
export const HUB_MESSAGES = {
  pong: message('pong', {}, 'Pong'),
  authenticated: message('authenticated', { expires_at: Timestamp }, 'Authenticated'),
  token_expiring: message('token_expiring', { expires_at: Timestamp }, 'TokenExpiring'),
  drain: message(
    'drain',
    { reconnect_in_ms: Ms('how long to wait before connecting to another hub'), deadline_ms: Ms('after which this hub closes') },
    'Drain',
  ),
  refused: message(
    'refused',
    {
      request: Nullable(Type.String({ maxLength: 64, description: 'type of the refused message, cut; null if it has none' })),
      process_id: Type.Optional(Type.String()),
      code: Code,
      message: Type.String(),
    },
    'Refused',
  ),
  unsubscribed: message(
    'unsubscribed',
    { process_id: Type.String(), code: Type.Optional(Type.Literal('not_found', { description: 'the client did not ask for it' })) },
    'Unsubscribed',
  ),
} as const

/** Answers `cancel` and `cancel_process`. `idField` names the job. */
export function cancelAccepted(idField: string, title: string) {
  return message('cancel_accepted', { [idField]: JobId, status: JobStatus }, title)
}

/** Named events of a stream. */
export const STREAM_EVENTS = {
  heartbeat: message('heartbeat', {}, 'Heartbeat'),
  close: message('close', { code: Type.Integer(), name: Code, reason: Type.String(), reconnect: Type.Boolean() }, 'StreamClose'),
} as const
