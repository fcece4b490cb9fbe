import Type, { type Static } from 'typebox'
import { Timestamp } from './life-fields.js'

/** Levels of a log line, the least severe first. Output of programs has none. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const LogLine = Type.Object(
  {
    level: Type.Optional(Type.Enum([...LOG_LEVELS])),
    text: Type.String({ description: 'as it was written: show it as text, never as HTML, and escape control characters in a terminal' }),
    attempt: Type.Optional(Type.Integer({ minimum: 2, description: 'attempt of the execution; absent in the first one' })),
    timestamp: Timestamp,
  },
  { title: 'LogLine' },
)
export type LogLine = Static<typeof LogLine>
