import type { Kind, KindDialect } from '../core/kind.js'
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
  if ('metric' in events) {
    const reports: RunReports = {
      progress: (at) => context.report(() => events.progress(at, context.elapsedSeconds)),
      metric: (name, value, unit) => context.report(() => events.metric(name, value, unit)),
    }
    return reports
  }
  const reports: ProcessReports = {
    progress: (at) => context.report(() => events.progress(at)),
    result: (result) => context.report(() => events.result(result)),
  }
  return reports
}
