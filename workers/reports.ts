import { REPORT_EVENTS } from '../src/jobs/report-events.js'
import type { BenchmarkResult } from '../src/protocol/benchmark-result.js'
import type { ComputedKindName, PhaseOf } from '../src/protocol/kinds.js'
import type { ProcessProgress } from '../src/protocol/process-messages.js'
import type { JobContext } from './job-context.js'

/** What a processor can report, by kind. All of it is taken at once and sent in the background. */
export interface Reports {
  run: {
    /** A tick: superseded by the next one, at most 10 a second leave the worker. `percent` is 0 to 100. */
    progress(at: { percent: number; phase: PhaseOf<'run'>; message: string }): void
    /** A durable measurement, delivered in order. `name` is `[a-z][a-z0-9_]*`; `value` is finite. */
    metric(name: string, value: number, unit: string): void
  }
  benchmark: {
    /** A tick, as of a run: `current` of `total` requests. */
    progress(at: ProcessProgress): void
    /** A durable result on the way, delivered in order: one finished request, or a cell that is skipped. */
    result(result: BenchmarkResult): void
  }
}

/** The reports of each kind, made into its events. `last`: the progress of an attempt that goes on after a hand-back. */
export const REPORTS: { readonly [K in ComputedKindName]: (context: JobContext, last: object) => Reports[K] } = {
  run: (context, last) => {
    const events = REPORT_EVENTS.run(context.id, last)
    return {
      progress: (at) => context.report(events.progress(at, context.elapsedSeconds)),
      metric: (name, value, unit) => context.report(events.metric(name, value, unit)),
    }
  },
  benchmark: (context, last) => {
    const events = REPORT_EVENTS.benchmark(context.id, last)
    return {
      progress: (at) => context.report(events.progress(at)),
      result: (result) => context.report(events.result(result)),
    }
  },
}
