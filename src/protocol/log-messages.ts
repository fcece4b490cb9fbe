import Type, { type Static } from 'typebox'
import { Nullable } from './json-schema.js'
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

/** Fields of a message with log lines, in either dialect. */
export const LogFields = {
  epoch: Type.String({ description: 'names the log that the numbers count in; another epoch is another log' }),
  oldest: Type.Optional(Type.Integer({ minimum: 1, description: 'number of the oldest line that is kept' })),
  first: Type.Integer({ minimum: 1, description: 'number of the first line; lines missing before it are not kept any more' }),
  lines: Type.Array(LogLine),
  end: Type.Optional(Type.Literal(true, { description: 'the execution has ended, and these were its last lines' })),
}

/** A page of log lines, without the id of the job. */
export const LogPageFields = {
  epoch: LogFields.epoch,
  oldest: Type.Integer({ minimum: 1, description: 'number of the oldest line that is kept; `last` + 1 if there is none' }),
  last: Type.Integer({ minimum: 0, description: 'number of the newest line; 0 before the first one' }),
  first: LogFields.first,
  lines: LogFields.lines,
  next_before: Nullable(Type.Integer({ minimum: 1, description: '`before` of the next, older page; null: there is none' })),
  complete: Type.Boolean({ description: 'the execution has ended: no more lines follow `last`' }),
}
