import { jsonValueOf, shortened } from '../protocol/json-value.js'
import { MAX_TEXT as MAX_PROCESS_TEXT, type ProcessProgress } from '../protocol/process-messages.js'
import { MAX_TEXT as MAX_RUN_TEXT } from '../protocol/run-messages.js'
import type { JobEvent } from './entry.js'
import { Eta } from './eta.js'
import { metricPoint, textOf } from './metric-point.js'
import type { ProcessEnd, processEvents } from './process-events.js'
import type { computedEvents, RunEnd } from './run-events.js'

/*
 * Reports of a processor as events, by dialect. Progress is for display and is never rejected: numbers are clamped,
 * texts are shortened, and unusable values keep the last one. Metrics, results and further fields of a progress are
 * data: an invalid one throws `TypeError` with its path and value. Arguments are `unknown`, because processors may be
 * untyped.
 */

/** Reports in the run dialect. */
export interface RunReportEvents {
  /** `at`: `percent` (0 to 100), `phase`, `message`, further fields. `elapsed_s`: since the start of the attempt. */
  progress(at: unknown, elapsed_s: number): JobEvent
  /** `options`: `{unit, step}`, or only the unit. */
  metric(name: string, value: number, options?: unknown): JobEvent
}

/** Reports in the process dialect. */
export interface ProcessReportEvents {
  progress(at: unknown, elapsed_s: number): JobEvent
  result(result: unknown): JobEvent
}

/**
 * Report builders of one attempt. `last`: the progress that the attempt has reached so far. `eta`: what is known of
 * its speed.
 */
export function runReportEvents<P extends string>(
  events: ReturnType<typeof computedEvents<P>>,
  id: string,
  last: object,
  eta: Eta = new Eta(shareReached(last)),
): RunReportEvents {
  // The state is one of this dialect.
  const { percent: lastPercent = 0, phase: lastPhase } = last as ReturnType<typeof events.last>
  let reached = lastPercent
  let phase = events.phases.find((known) => known === lastPhase) ?? events.phases[0]
  return {
    // Percent never falls within an attempt and stays below 100, which only `completed` reports.
    progress: (at, elapsed_s) => {
      const { percent, phase: named, message, ...more } = recordOf<RunProgress>(at)
      reached = atLeast(reached, typeof percent === 'number' ? Math.min(Math.round(percent * 10) / 10, 99.9) : reached)
      phase = events.phases.find((known) => known === named) ?? phase
      const text = shortened(textOf(message), MAX_RUN_TEXT.message)
      const eta_s = eta.after(reached / 100, elapsed_s)
      return events.progress(id, { ...fieldsOf(more), percent: reached, phase, message: text, elapsed_s, eta_s, step_s: eta.stepSeconds })
    },
    metric: (name, value, options) => {
      const { unit, step } = metricPoint(name, value, options)
      return events.metric(id, name, value, unit, step)
    },
  }
}

interface RunProgress {
  percent: number
  phase: string
  message: string
}

/** The counterpart of `runReportEvents` in the process dialect. */
export function processReportEvents(
  events: ReturnType<typeof processEvents>,
  id: string,
  last: object,
  eta: Eta = new Eta(shareReached(last)),
): ProcessReportEvents {
  const { progress } = last as ReturnType<typeof events.last> // the state is one of this dialect
  let reached = progress?.current ?? 0
  return {
    progress: (at, elapsed_s) => {
      const { current, total: said, detail, model, phase, ...more } = recordOf<ProcessProgress>(at)
      const total = typeof said === 'number' && said > 0 && Number.isFinite(said) ? said : null
      const limit = total ?? Number.MAX_VALUE
      // `current` never falls, unless `total` falls below it.
      reached = Math.min(atLeast(reached, current === Number.POSITIVE_INFINITY ? (total ?? reached) : current), limit)
      const share = shareOf(reached, total)
      return events.progress(id, {
        ...fieldsOf(more),
        eta_s: share === null ? null : eta.after(share, elapsed_s),
        step_s: share === null ? null : eta.stepSeconds,
        current: reached,
        total,
        detail: shortened(textOf(detail), MAX_PROCESS_TEXT.detail),
        ...(model !== undefined && { model: shortened(textOf(model), MAX_PROCESS_TEXT.model) }),
        ...(phase !== undefined && { phase: shortened(textOf(phase), MAX_PROCESS_TEXT.phase) }),
      })
    },
    // The schema rejects a value that is not an object.
    result: (result) => events.result(id, jsonValueOf(result, 'result') as Record<string, unknown>),
  }
}

/** The share of the work that is done by the last progress of an attempt, in either dialect; 0 if unknown. */
export function shareReached(last: object): number {
  // The state is one of the dialect of its kind.
  const { percent = 0, progress } = last as RunEnd & ProcessEnd
  return progress ? (shareOf(progress.current, progress.total) ?? 0) : percent / 100
}

/** The share of the work that is done; null if the total is unknown. */
function shareOf(current: number, total: number | null): number | null {
  return total === null || total === 0 ? null : current / total
}

/** The argument of a progress as a record; empty for a value that is not an object. */
function recordOf<T>(at: unknown): { readonly [N in keyof T]?: unknown } {
  return typeof at === 'object' && at !== null ? at : {}
}

/** The greater value; `value` is ignored if it is NaN or not a number. */
function atLeast(reached: number, value: unknown): number {
  return typeof value === 'number' && value > reached ? value : reached
}

/** Further fields of a progress, as JSON. */
function fieldsOf(more: Readonly<Record<string, unknown>>): object {
  for (const _name in more) return jsonValueOf(more, 'progress') as object // a copy of an object
  return more
}
