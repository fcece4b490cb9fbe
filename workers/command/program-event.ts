import Type, { type Static, type TObject } from 'typebox'
import { Checker } from '../../src/protocol/checker.js'
import { RUN_MESSAGES } from '../../src/protocol/run-messages.js'
import { JobFailure } from '../processor.js'

const { progress, metric_update, completed } = RUN_MESSAGES

/** What a program may tell, as a line of its stdout: what becomes a message of its run, as far as the program knows it. Other fields are passed over. */
const EVENTS = {
  progress: Type.Object({
    type: progress.properties.type,
    // Without bounds: the reports keep it from falling and within 0 to 100.
    percent: Type.Number(),
    phase: Type.Enum([...progress.properties.phase.enum], { default: 'solving' }),
    message: Type.String({ ...progress.properties.message, default: '' }),
  }),
  metric_update: Type.Pick(metric_update, ['type', 'metric_name', 'value', 'unit']),
  completed: Type.Pick(completed, ['type', 'metrics_summary']),
} as const satisfies Record<string, TObject>

type EventName = keyof typeof EVENTS
export type ProgramEvent = { [N in EventName]: Static<(typeof EVENTS)[N]> }[EventName]

const checkers = {
  progress: new Checker(EVENTS.progress),
  metric_update: new Checker(EVENTS.metric_update),
  completed: new Checker(EVENTS.completed),
}

/** The event that a line is, or null: then it is log. Throws `JobFailure` for one that is an event by its type and is not valid, with the path of each fault. */
export function programEvent(line: string): ProgramEvent | null {
  const type = typeOf(line)
  if (type === null) return null
  const checker = checkers[type.name]
  const event = checker.fill(type.content)
  if (checker.check(event)) return event
  const faults = checker.faults(event).map(({ path, expected }) => `${path}: expected ${expected}`)
  throw new JobFailure('solver_error', `The program reported a ${type.name} that is not valid: ${faults.join('; ')}.`)
}

function typeOf(line: string): { name: EventName; content: object } | null {
  // Most of what programs write is text: no need to try it.
  if (!line.trimStart().startsWith('{')) return null
  try {
    const content: unknown = JSON.parse(line)
    const name = typeof content === 'object' && content !== null && 'type' in content ? content.type : undefined
    return isEventName(name) ? { name, content: content as object } : null // as just seen
  } catch {
    return null
  }
}

function isEventName(name: unknown): name is EventName {
  return typeof name === 'string' && Object.hasOwn(EVENTS, name)
}
