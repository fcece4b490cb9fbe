import type { TSchema } from 'typebox'
import type { JobEvent } from '../../core/entry.js'
import { Eta, type EtaState } from '../../core/eta.js'
import type { JobState } from '../../core/job-state.js'
import type { Kind } from '../../core/kind.js'
import { logLines } from '../../core/log-line.js'
import { metricPoint } from '../../core/metric-point.js'
import { shareReached } from '../../core/report-events.js'
import { pointTelemetry, type SeriesTelemetry } from '../../core/series-telemetry.js'
import { Checker } from '../../protocol/checker.js'
import { type ClaimEnd, type ClaimEvent, type ClaimPost, MAX_POST_LINES } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { reportedCodeFault } from '../../protocol/failure.js'
import type { LogLine } from '../../protocol/log-messages.js'

/** The content of a post, in its order. */
export interface PostContent {
  /** A transient event that another event of the post replaces is left out. */
  readonly reports: readonly JobEvent[]
  /** The path of each report in the post. */
  readonly paths: readonly string[]
  /** The newest lines of its log, at most `MAX_POST_LINES`. */
  readonly lines: readonly LogLine[]
  /** How many lines came before these. */
  readonly skippedLines: number
  /** Points of metrics. */
  readonly points: readonly SeriesTelemetry[]
  readonly end: ClaimEnd | null
  /** What is known of the speed of the job. */
  readonly eta: EtaState
}

type Posted = ClaimPost['events'][number]

const ENDS: readonly string[] = ['completed', 'failed', 'released', 'cancelled'] satisfies ClaimEnd['type'][]

/** One map per kind, created on first use. */
const checkers = new WeakMap<Kind, ReadonlyMap<string, Checker<TSchema>>>()

function checkersOf(kind: Kind): ReadonlyMap<string, Checker<TSchema>> {
  let known = checkers.get(kind)
  if (!known) {
    known = new Map(Object.entries(kind.claimEvents ?? {}).map(([type, schema]) => [type, new Checker(schema)]))
    checkers.set(kind, known)
  }
  return known
}

/**
 * Reads the events of a post about this job. Throws `invalid` with the path of each faulty field. `elapsed_s` and what
 * follows from `speed`, of earlier posts, are added to progress events.
 */
export function readPost(state: JobState, events: readonly Posted[], elapsed_s: number, speed?: EtaState): PostContent {
  const valid = events.map((event, i) => check(state.kind, event, `/events/${i}`))
  const ends = valid.filter(isEnd)
  const at = valid.findIndex(isEnd)
  if (ends.length > 1 || (at >= 0 && at < valid.length - 1)) throw faultAt(`/events/${at}`, 'the last event: nothing follows an end')
  const eta = new Eta(speed ?? shareReached(state.kind.events.last(state)))
  const reported = reportsOf(state, valid, elapsed_s, eta)
  const kept = reported.filter(
    ({ event }, i) => event.class !== 'transient' || !reported.slice(i + 1).some(({ event: { key } }) => key === event.key),
  )
  const lines = valid.flatMap((event) => (event.type === 'log' ? logLines(event.line, { level: event.level, attempt: state.attempt }) : []))
  return {
    reports: kept.map(({ event }) => event),
    paths: kept.map(({ path }) => path),
    lines: lines.slice(-MAX_POST_LINES),
    skippedLines: Math.max(0, lines.length - MAX_POST_LINES),
    points: valid.flatMap((event) => pointsOf(event, elapsed_s)),
    end: ends[0] ?? null,
    eta: eta.state,
  }
}

function check(kind: Kind, event: Posted, path: string): ClaimEvent {
  const known = checkersOf(kind)
  const checker = known.get(event.type)
  if (!checker) throw faultAt(`${path}/type`, `one of ${[...known.keys()].join(', ')}`)
  const filled = checker.fill(event)
  if (!checker.check(filled)) throw new RuncastError('invalid', { issues: checker.faults(filled, path) })
  const valid = filled as ClaimEvent // the checker of this type has just said so
  const fault = valid.type === 'failed' ? reportedCodeFault(valid.code) : null
  if (fault !== null) throw faultAt(`${path}/code`, fault)
  return valid
}

function reportsOf(
  { kind, ...state }: JobState,
  events: readonly ClaimEvent[],
  elapsed_s: number,
  eta: Eta,
): { event: JobEvent; path: string }[] {
  const reports = kind.reports?.(state.id, kind.events.last(state), eta)
  const reportOf = (event: ClaimEvent): JobEvent | null => {
    if (!reports) return null
    if ('metric' in reports) {
      if (event.type === 'progress')
        return reports.progress({ percent: event.percent, phase: event.phase, message: event.message }, elapsed_s)
      return event.type === 'metric_update' ? reports.metric(event.metric_name, event.value, event) : null
    }
    if (event.type === 'process_progress') return reports.progress(event.progress, elapsed_s)
    return event.type === 'process_result' ? reports.result(event.result) : null
  }
  return events.flatMap((said, i) => {
    const event = reportOf(said)
    return event ? [{ event, path: `/events/${i}` }] : []
  })
}

function pointsOf(event: ClaimEvent, elapsed_s: number): SeriesTelemetry[] {
  if (event.type !== 'metric_update' && event.type !== 'process_metric') return []
  return [pointTelemetry(metricPoint(event.metric_name, event.value, event), elapsed_s)]
}

function isEnd(event: ClaimEvent): event is ClaimEnd {
  return ENDS.includes(event.type)
}

function faultAt(path: string, expected: string): RuncastError {
  return new RuncastError('invalid', { issues: [{ path, expected }] })
}
