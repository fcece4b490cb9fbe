import { processReportEvents, runReportEvents } from '../src/jobs/report-events.js'
import type { BenchmarkResult } from '../src/protocol/benchmark-result.js'
import { type ComputedKindName, isRunKind, KINDS, type PhaseOf } from '../src/protocol/kinds.js'
import type { ProcessProgress } from '../src/protocol/process-messages.js'
import type { JobContext } from './job-context.js'

/** What a processor can report in the run dialect, in phases `P`. */
export interface RunReports<P extends string> {
  /** A tick: superseded by the next one, at most 10 a second leave the worker. `percent` is 0 to 100. */
  progress(at: { percent: number; phase: P; message: string }): void
  /** A durable measurement, delivered in order. `name` is `[a-z][a-z0-9_]*`; `value` is finite. */
  metric(name: string, value: number, unit: string): void
}

/** What a processor can report in the process dialect, with results `R`. */
export interface ProcessReports<R> {
  /** A tick, as of a run: `current` of `total` steps, of a benchmark its requests. */
  progress(at: ProcessProgress): void
  /** A durable result on the way, delivered in order: of a benchmark one finished request, or a cell that is skipped. */
  result(result: R): void
}

/** What a processor can report, by kind. All of it is taken at once and sent in the background. */
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
    progress: (at) => context.report(events.progress(at, context.elapsedSeconds)),
    metric: (name, value, unit) => context.report(events.metric(name, value, unit)),
  }
}

function processReports(dialect: Parameters<typeof processReportEvents>[0], context: JobContext, last: object): Reports['benchmark'] {
  const events = processReportEvents(dialect, context.id, last)
  return {
    progress: (at) => context.report(events.progress(at)),
    result: (result) => context.report(events.result(result)),
  }
}
