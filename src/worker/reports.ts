import type { JobEvent } from '../core/entry.js'
import type { Kind, KindDialect } from '../core/kind.js'
import { type MetricPoint, metricPoint } from '../core/metric-point.js'
import type { JobContext } from './job-context.js'
import type { ProcessReports, Reports, RunReports } from './processor.js'

/**
 * Builds the events of a kind's reports. `last`: the progress of an attempt that was returned to the queue and
 * continues. Throws `TypeError` for a kind without reports.
 */
export function reportsOf<D extends KindDialect>(kind: Kind & { readonly dialect: D }, context: JobContext, last: object): Reports[D] {
  return anyReportsOf(kind, context, last) as Reports[D] // its events are of its dialect
}

function anyReportsOf(kind: Kind, context: JobContext, last: object): RunReports | ProcessReports {
  const events = kind.reports?.(context.id, last)
  if (!events) throw new TypeError(`the kind ${kind.name} runs in steps: implement it with steps, not with run, thread or program`)
  // A thread adds when the point was made.
  const metricBy =
    (eventOf: (point: MetricPoint) => JobEvent | null): RunReports['metric'] =>
    (name: string, value: number, options?: unknown, at?: number) =>
      context.point(() => metricPoint(name, value, options), eventOf, at)
  if ('metric' in events) {
    const reports: RunReports = {
      progress: (at) => context.report(() => events.progress(at, context.elapsedSeconds)),
      metric: metricBy(({ name, value, ...options }) => events.metric(name, value, options)),
    }
    return reports
  }
  const reports: ProcessReports = {
    progress: (at) => context.report(() => events.progress(at, context.elapsedSeconds)),
    result: (result) => context.report(() => events.result(result)),
    metric: metricBy(() => null),
  }
  return reports
}
