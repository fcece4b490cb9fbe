import Type, { type Static, type TObject } from 'typebox'
import { ArtifactName } from '../../protocol/artifact.js'
import { Checker } from '../../protocol/checker.js'
import { FailureFields, reportedCodeFault } from '../../protocol/failure.js'
import { valueAt } from '../../protocol/faults.js'
import { shown } from '../../protocol/json-value.js'
import { RUN_MESSAGES } from '../../protocol/run-messages.js'
import { JobFailure } from '../processor.js'
import { cutAfterObject, parseLenient } from './lenient-json.js'

const { metric_update, completed } = RUN_MESSAGES

const Anything = Type.Optional(Type.Unknown())

/**
 * What a program may write as a line of stdout: the fields of an event of its job that the program knows. Other fields
 * are ignored. A progress is for display: the report corrects any content.
 */
const EVENTS = {
  progress: Type.Object({ type: Type.Literal('progress'), percent: Anything, phase: Anything, message: Anything }),
  metric_update: Type.Object({
    type: metric_update.properties.type,
    metric_name: metric_update.properties.metric_name,
    value: metric_update.properties.value,
    // The report shortens it.
    unit: Type.String(),
    step: metric_update.properties.step,
  }),
  artifact: Type.Object({
    type: Type.Literal('artifact'),
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    url: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
    name: Type.Optional(ArtifactName),
    media_type: Type.Optional(Type.String()),
  }),
  failed: Type.Object({ type: Type.Literal('failed'), ...FailureFields, code: Type.Optional(FailureFields.code) }),
  completed: Type.Pick(completed, ['type', 'metrics_summary']),
} as const satisfies Record<string, TObject>

type EventName = keyof typeof EVENTS
export type ProgramEvent = { [N in EventName]: Static<(typeof EVENTS)[N]> }[EventName]

const checkers = {
  metric_update: new Checker(EVENTS.metric_update),
  artifact: new Checker(EVENTS.artifact),
  failed: new Checker(EVENTS.failed),
  completed: new Checker(EVENTS.completed),
}

/** A part of a line: an event, or log text. */
export type LinePart = { readonly event: ProgramEvent } | { readonly log: string }

const EVENT_TYPE = /"type"\s*:\s*"(progress|metric_update|artifact|failed|completed)"/
const EVENT_TYPES = new RegExp(EVENT_TYPE, 'g')

/**
 * Parses a line of stdout, part by part. It accepts a byte order mark, progress bars before a carriage return, and
 * several objects on one line. Throws `JobFailure` for a measurement or a result that cannot be parsed or is not valid,
 * with the line number, the path and the value.
 */
export function* readLine(line: string, number: number): Generator<LinePart, void> {
  const text = line.replace(/^\uFEFF/, '')
  // Most output of programs is text: no need to parse it.
  if (!text.includes('{')) return yield { log: text }
  if (text.includes('\0')) return yield readUtf16(text, number)
  const parts = text.split('\r').filter((part) => part.trim() !== '')
  for (const part of parts) {
    if (part.trimStart().startsWith('{')) yield* readObjects(part, number)
    // Of progress bars that overwrite each other the last one is logged.
    else if (part === parts.at(-1)) yield { log: part }
  }
}

/** The error for a line that is too long and begins like an event. Null: the line is log text. */
export function faultOfLongLine(begin: string, number: number, maxBytes: number): JobFailure | null {
  const name = begin.trimStart().startsWith('{') ? EVENT_TYPE.exec(begin.slice(0, 1000))?.[1] : undefined
  return name === undefined || name === 'progress' ? null : failure(name, number, `it is longer than ${maxBytes} bytes`)
}

/** UTF-16 text cannot be parsed. An event in it must not be lost silently. */
function readUtf16(text: string, number: number): LinePart {
  const name = EVENT_TYPE.exec(text.replaceAll('\0', ''))?.[1]
  if (name === undefined || name === 'progress') return { log: text }
  throw failure(name, number, 'it looks like UTF-16; write UTF-8')
}

/** JSON objects in sequence, and the text after them. */
function* readObjects(part: string, number: number): Generator<LinePart, void> {
  // An object without a type is no event and is not parsed. An escape may hide the name of a field.
  if (!/"type"|\\u/.test(part)) return yield { log: part }
  const whole = parseLenient(part)
  if (whole.ok) return yield partOf(whole.value, part, number)
  const lastEvent = [...part.matchAll(EVENT_TYPES)].at(-1)?.index ?? -1
  let rest = part
  while (rest.trimStart().startsWith('{') && part.length - rest.length <= lastEvent) {
    const [object, after] = cutAfterObject(rest) ?? [rest, '']
    const parsed = parseLenient(object)
    if (!parsed.ok) {
      const name = EVENT_TYPE.exec(object)?.[1]
      if (name === undefined || name === 'progress') break
      throw failure(name, number, parsed.reason)
    }
    yield partOf(parsed.value, object, number)
    rest = after
  }
  if (rest.trim() !== '') yield { log: rest }
}

/** The event of a JSON value. Any other value is log text. */
function partOf(content: unknown, text: string, number: number): LinePart {
  const name = typeof content === 'object' && content !== null && 'type' in content ? content.type : undefined
  // its fields are not validated
  if (name === 'progress') return { event: content as ProgramEvent & { type: 'progress' } }
  if (name !== 'metric_update' && name !== 'artifact' && name !== 'failed' && name !== 'completed') return { log: text }
  const checker = checkers[name]
  if (checker.check(content)) {
    const fault = content.type === 'failed' && content.code !== undefined ? reportedCodeFault(content.code) : null
    if (fault !== null) throw failure(name, number, `/code: expected ${fault}`)
    return { event: content }
  }
  const faults = checker.faults(content).map(({ path, expected }) => {
    const value = valueAt(content, path)
    return `${path}: expected ${expected}${value === undefined ? '' : `, not ${shown(value)}`}`
  })
  throw failure(name, number, faults.join('; '))
}

function failure(name: string, number: number, reason: string): JobFailure {
  return new JobFailure('solver_error', `Line ${number} of stdout is a ${name} that is not valid: ${reason}`)
}
