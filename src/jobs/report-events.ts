import type { BenchmarkResult } from '../protocol/benchmark-result.js'
import type { JobEvent } from '../protocol/entry.js'
import type { ComputedKindName, PhaseOf } from '../protocol/kinds.js'
import { processEvents } from '../protocol/process-events.js'
import type { ProcessProgress } from '../protocol/process-messages.js'
import { runEvents } from '../protocol/run-events.js'

/** What can be reported of a job, by kind, as its events. Each throws `TypeError` on what its schema refuses. */
export interface ReportEvents {
  run: {
    /** `percent` is 0 to 100. */
    progress(at: { percent: number; phase: PhaseOf<'run'>; message: string }, elapsed_s: number): JobEvent
    metric(name: string, value: number, unit: string): JobEvent
  }
  benchmark: {
    progress(at: ProcessProgress): JobEvent
    result(result: BenchmarkResult): JobEvent
  }
}

/** Of the run dialect; `events`: those of the kind, `last`: the progress that the attempt has reached so far. */
export function runReportEvents(events: typeof runEvents, id: string, last: object): ReportEvents['run'] {
  let { percent: reached = 0 } = last as ReturnType<typeof events.last> // of a state of this dialect
  return {
    // Percent never falls within an attempt and stays below 100: only the final event says 100.
    progress: (at, elapsed_s) => {
      reached = Math.max(reached, Math.min(Math.round(at.percent * 10) / 10, 99.9))
      return events.progress(id, { ...at, percent: reached, elapsed_s })
    },
    metric: (name, value, unit) => events.metric(id, name, value, unit),
  }
}

/** The same of the process dialect. */
export function processReportEvents(events: ReturnType<typeof processEvents>, id: string, last: object): ReportEvents['benchmark'] {
  const { progress } = last as ReturnType<typeof events.last> // of a state of this dialect
  let reached = progress?.current ?? 0
  return {
    progress: (at) => {
      reached = Math.max(reached, Math.min(at.current, at.total))
      return events.progress(id, { ...at, current: reached })
    },
    result: (result) => events.result(id, result),
  }
}

const benchmarkEvents = processEvents('benchmark')

/** Makes the reports of one job, in their order, into events. */
export const REPORT_EVENTS: { readonly [K in ComputedKindName]: (id: string, last: object) => ReportEvents[K] } = {
  run: (id, last) => runReportEvents(runEvents, id, last),
  benchmark: (id, last) => processReportEvents(benchmarkEvents, id, last),
}
