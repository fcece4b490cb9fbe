import type { TSchema } from 'typebox'
import type { JobEvent } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { COMPUTED_KIND_NAMES, type KindName, lifecycleOf, type PhaseOf } from '../../core/kinds.js'
import { REPORT_EVENTS } from '../../core/report-events.js'
import { Checker } from '../../protocol/checker.js'
import { CLAIM_EVENTS, type ClaimEnd, type ClaimEvent, type ClaimPost } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'

/** What a post says, in its order. */
export interface Told {
  /** A tick that another one of the post supersedes is left out. */
  readonly reports: readonly JobEvent[]
  /** Where each of them stands in the post. */
  readonly paths: readonly string[]
  readonly lines: readonly string[]
  readonly end: ClaimEnd | null
}

type Posted = ClaimPost['events'][number]

const ENDS: readonly string[] = ['completed', 'failed', 'released', 'cancelled'] satisfies ClaimEnd['type'][]

const checkers = new Map<KindName, Map<string, Checker<TSchema>>>(
  COMPUTED_KIND_NAMES.map((kind) => {
    const byType = Object.entries<TSchema>(CLAIM_EVENTS[kind])
    return [kind, new Map(byType.map(([type, schema]) => [type, new Checker(schema)]))]
  }),
)

/** Reads the events of a post about this job. Throws `invalid` with the path of each faulty field; `elapsed_s` is told where progress is. */
export function readPost(state: JobState, events: readonly Posted[], elapsed_s: number): Told {
  const valid = events.map((event, i) => check(state.kind, event, `/events/${i}`))
  const ends = valid.filter(isEnd)
  const at = valid.findIndex(isEnd)
  if (ends.length > 1 || (at >= 0 && at < valid.length - 1)) throw faultAt(`/events/${at}`, 'the last event: nothing follows an end')
  const reported = reportsOf(state, valid, elapsed_s)
  const kept = reported.filter(
    ({ event }, i) => event.class !== 'transient' || !reported.slice(i + 1).some(({ event: { key } }) => key === event.key),
  )
  return {
    reports: kept.map(({ event }) => event),
    paths: kept.map(({ path }) => path),
    lines: valid.flatMap((event) => (event.type === 'log' ? [event.line] : [])),
    end: ends[0] ?? null,
  }
}

function check(kind: KindName, event: Posted, path: string): ClaimEvent {
  const checker = checkers.get(kind)?.get(event.type)
  if (!checker) throw faultAt(`${path}/type`, `one of ${[...(checkers.get(kind)?.keys() ?? [])].join(', ')}`)
  const filled = checker.fill(event)
  if (!checker.check(filled)) throw new RuncastError('invalid', { issues: checker.faults(filled, path) })
  return filled as ClaimEvent // the checker of this type has just said so
}

function reportsOf(state: JobState, events: readonly ClaimEvent[], elapsed_s: number): { event: JobEvent; path: string }[] {
  const last = lifecycleOf(state.kind).last(state)
  const run = REPORT_EVENTS.run(state.id, last)
  const benchmark = REPORT_EVENTS.benchmark(state.id, last)
  const reportOf = (event: ClaimEvent): JobEvent | null => {
    switch (event.type) {
      case 'progress':
        return run.progress({ percent: event.percent, phase: event.phase as PhaseOf<'run'>, message: event.message }, elapsed_s) // another one leaves the last
      case 'metric_update':
        return run.metric(event.metric_name, event.value, event.unit)
      case 'process_progress':
        return benchmark.progress(event.progress)
      case 'process_result':
        return benchmark.result(event.result)
      default:
        return null
    }
  }
  return events.flatMap((said, i) => {
    const event = reportOf(said)
    return event ? [{ event, path: `/events/${i}` }] : []
  })
}

function isEnd(event: ClaimEvent): event is ClaimEnd {
  return ENDS.includes(event.type)
}

function faultAt(path: string, expected: string): RuncastError {
  return new RuncastError('invalid', { issues: [{ path, expected }] })
}
