import { type ComputedKindName, isRunKind, KINDS, type PhaseOf } from '../core/kinds.js'
import { processReportEvents, runReportEvents } from '../core/report-events.js'
import type { BenchmarkResult } from '../kinds/benchmark/result.js'
import type { ProcessProgress } from '../protocol/process-messages.js'
import type { JobContext } from './job-context.js'

/** What a processor can report in the run dialect, in phases `P`. */
export interface RunReports<P extends string> {
  /** A tick: superseded by the next one, at most 10 a second leave the worker. `percent` is 0 to 100; it is clamped, and `message` is cut after 1000 characters. */
  progress(at: { percent: number; phase: P; message: string }): Promise<void>
  /** A durable measurement, delivered in order. `name` has 1 to 128 characters, none of them a control character; `value` is finite; `unit` is cut after 32 characters. */
  metric(name: string, value: number, unit: string): Promise<void>
}

/** What a processor can report in the process dialect, with results `R`. */
export interface ProcessReports<R> {
  /** A tick, as of a run: `current` of `total` steps, of a benchmark its requests. A `total` of null, or 0, is not known yet. */
  progress(at: ProcessProgress): Promise<void>
  /** A durable result on the way, delivered in order: of a benchmark one finished request, or a cell that is skipped. It is copied as JSON at once. */
  result(result: R): Promise<void>
}

/**
 * What a processor can report, by kind. A report is taken at once and sent in the background. Its promise resolves when there is room for more, so a processor
 * that awaits it is never faster than Redis; one that does not fails where more than 10,000 reports wait. It rejects where the report cannot be published: the
 * attempt has failed then, whatever the processor does. It need not be awaited.
 */
export interface Reports {
  run: RunReports<PhaseOf<'run'>>
  benchmark: ProcessReports<BenchmarkResult>
}

/** The reports of a kind, made into its events. `last`: the progress of an attempt that goes on after a hand-back. */
export function reportsOf<K extends ComputedKindName>(kind: K, context: JobContext, last: object): Reports[K] {
  const computed: ComputedKindName = kind
  const reports = isRunKind(computed)
    ? runReports(KINDS[computed].events, context, last)
    : processReports(KINDS[computed].events, context, last)
  return reports as Reports[K] // those of its dialect
}

function runReports(dialect: Parameters<typeof runReportEvents>[0], context: JobContext, last: object): Reports['run'] {
  const events = runReportEvents(dialect, context.id, last)
  return {
    progress: (at) => context.report(() => events.progress(at, context.elapsedSeconds)),
    metric: (name, value, unit) => context.report(() => events.metric(name, value, unit)),
  }
}

function processReports(dialect: Parameters<typeof processReportEvents>[0], context: JobContext, last: object): Reports['benchmark'] {
  const events = processReportEvents(dialect, context.id, last)
  return {
    progress: (at) => context.report(() => events.progress(at)),
    result: (result) => context.report(() => events.result(result)),
  }
}
