import { jsonValueOf, shortened, shown } from '../protocol/json-value.js'
import { MAX_TEXT as MAX_PROCESS_TEXT, type ProcessProgress } from '../protocol/process-messages.js'
import { MAX_TEXT as MAX_RUN_TEXT } from '../protocol/run-messages.js'
import type { JobEvent } from './entry.js'
import type { processEvents } from './process-events.js'
import type { computedEvents } from './run-events.js'

/*
 * What can be reported of a job as its events, by dialect. Progress is for display and never a fault: numbers are clamped, texts shortened, and what cannot be
 * used leaves the last value as it was. Measurements, results and further fields of a progress are data: what is not valid, or no JSON, throws `TypeError`
 * with its path and value. Values come from programs that types do not bind, so they are `unknown`.
 */

/** In the run dialect. */
export interface RunReportEvents {
  /** `percent` is 0 to 100. */
  progress(at: unknown, elapsed_s: number): JobEvent
  metric(name: string, value: number, unit: unknown): JobEvent
}

/** In the process dialect. */
export interface ProcessReportEvents {
  progress(at: unknown): JobEvent
  result(result: unknown): JobEvent
}

/** `events`: those of the kind; `last`: the progress that the attempt has reached so far. */
export function runReportEvents<P extends string>(events: ReturnType<typeof computedEvents<P>>, id: string, last: object): RunReportEvents {
  const { percent: lastPercent = 0, phase: lastPhase } = last as ReturnType<typeof events.last> // of a state of this dialect
  let reached = lastPercent
  let phase = events.phases.find((known) => known === lastPhase) ?? events.phases[0]
  return {
    // Percent never falls within an attempt and stays below 100: only the final event says 100.
    progress: (at, elapsed_s) => {
      const { percent, phase: named, message, ...more } = recordOf<RunProgress>(at)
      reached = atLeast(reached, typeof percent === 'number' ? Math.min(Math.round(percent * 10) / 10, 99.9) : reached)
      phase = events.phases.find((known) => known === named) ?? phase
      const text = shortened(textOf(message), MAX_RUN_TEXT.message)
      return events.progress(id, { ...fieldsOf(more), percent: reached, phase, message: text, elapsed_s })
    },
    metric: (name, value, unit) => {
      if (!Number.isFinite(value)) throw new TypeError(`metric ${shown(name)}: /value: ${shown(value)} is not a finite number`)
      return events.metric(id, name, value, shortened(textOf(unit), MAX_RUN_TEXT.unit))
    },
  }
}

interface RunProgress {
  percent: number
  phase: string
  message: string
}

/** The same in the process dialect. */
export function processReportEvents(events: ReturnType<typeof processEvents>, id: string, last: object): ProcessReportEvents {
  const { progress } = last as ReturnType<typeof events.last> // of a state of this dialect
  let reached = progress?.current ?? 0
  return {
    progress: (at) => {
      const { current, total: said, detail, model, phase, ...more } = recordOf<ProcessProgress>(at)
      const total = typeof said === 'number' && said > 0 && Number.isFinite(said) ? said : null
      const limit = total ?? Number.MAX_VALUE
      // It does not fall, unless the total falls below it.
      reached = Math.min(atLeast(reached, current === Number.POSITIVE_INFINITY ? (total ?? reached) : current), limit)
      return events.progress(id, {
        ...fieldsOf(more),
        current: reached,
        total,
        detail: shortened(textOf(detail), MAX_PROCESS_TEXT.detail),
        ...(model !== undefined && { model: shortened(textOf(model), MAX_PROCESS_TEXT.model) }),
        ...(phase !== undefined && { phase: shortened(textOf(phase), MAX_PROCESS_TEXT.phase) }),
      })
    },
    result: (result) => events.result(id, jsonValueOf(result, 'result') as Record<string, unknown>), // what is no object its schema refuses
  }
}

/** What was handed in for a progress, by somebody who may not be bound by types. */
function recordOf<T>(at: unknown): { readonly [N in keyof T]?: unknown } {
  return typeof at === 'object' && at !== null ? at : {}
}

/** The greater of both; what is no number, or NaN, counts for nothing. */
function atLeast(reached: number, value: unknown): number {
  return typeof value === 'number' && value > reached ? value : reached
}

/** What is shown of a value where a text belongs; nothing of an object. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null || typeof value === 'object' || typeof value === 'function' ? '' : String(value)
}

/** Further fields of a progress, which are passed on as they are. */
function fieldsOf(more: Readonly<Record<string, unknown>>): object {
  for (const _name in more) return jsonValueOf(more, 'progress') as object // of an object
  return more
}
