import type { BenchmarkResult } from '../src/protocol/benchmark-result.js'
import type { ComputedKindName, PhaseOf } from '../src/protocol/kinds.js'
import { processEvents } from '../src/protocol/process-events.js'
import type { ProcessProgress } from '../src/protocol/process-messages.js'
import { runEvents } from '../src/protocol/run-events.js'
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

const benchmarkEvents = processEvents('benchmark')

/** The reports of each kind, made into its events. `last`: the progress of an attempt that goes on after a hand-back. */
export const REPORTS: { readonly [K in ComputedKindName]: (context: JobContext, last: object) => Reports[K] } = {
  run: (context, last) => {
    let { percent: reached = 0 } = last as ReturnType<typeof runEvents.last> // of a state of this kind
    return {
      // Percent never falls within an attempt and stays below 100: only the final event says 100.
      progress: (at) => {
        reached = Math.max(reached, Math.min(Math.round(at.percent * 10) / 10, 99.9))
        context.report(runEvents.progress(context.id, { ...at, percent: reached, elapsed_s: context.elapsedSeconds }))
      },
      metric: (name, value, unit) => context.report(runEvents.metric(context.id, name, value, unit)),
    }
  },
  benchmark: (context, last) => {
    const { progress } = last as ReturnType<typeof benchmarkEvents.last> // of a state of this kind
    let reached = progress?.current ?? 0
    return {
      progress: (at) => {
        reached = Math.max(reached, Math.min(at.current, at.total))
        context.report(benchmarkEvents.progress(context.id, { ...at, current: reached }))
      },
      result: (result) => context.report(benchmarkEvents.result(context.id, result)),
    }
  },
}
