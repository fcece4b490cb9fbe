import type { OptimizationMessages } from '../kinds/optimization/messages.js'
import type { ProcessMessage, ProcessProgress, ProcessView } from '../protocol/process-messages.js'
import type { RunMessages } from '../protocol/run-messages.js'
import type { Entry } from './entry.js'
import { type JobState, messageOf } from './job-state.js'
import { isRunKind, KINDS, type KindName, RUN_KIND_NAMES } from './kinds.js'
import { type ProcessEnd, STATUS_MESSAGES } from './process-events.js'
import { storeClock } from './store-clock.js'

/** Which way a snapshot came about: `recovered`, what was missed follows exactly; `resync`, this client was too slow and its backlog was dropped. */
export interface SnapshotFlags {
  readonly recovered: boolean
  readonly resync?: true
}

/** How entries and states become messages of one protocol. The hub knows no other meaning. */
export interface Dialect {
  snapshot(state: JobState, flags: SnapshotFlags): Readonly<Record<string, unknown>>
  /** The message of an entry as UTF-8 JSON, or null where the dialect has none for it. */
  body(entry: Entry): Buffer | null
}

/** `run-protocol.md`: entries are stored as its messages, so the bytes go through untouched. */
export const runDialect: Dialect = {
  snapshot: (state, flags) => {
    if (!isRunKind(state.kind)) throw new TypeError(`a ${state.kind} has no run dialect`)
    return { ...KINDS[state.kind].snapshot(state), ...flags }
  },
  body: (entry) => entry.body,
}

/** `process-protocol.md`: every job is a process. What is stored in another dialect is translated, once per entry and node. */
export const processDialect: Dialect = {
  snapshot: (state, flags) => ({
    type: 'subscribed',
    process_id: state.id,
    process: processView(state),
    seq: state.seq,
    epoch: state.epoch,
    ...flags,
    timestamp: storeClock.stamp(),
  }),
  body: (entry) => {
    const stored = messageOf(entry) as StoredMessage // what this hub's own schemas let in, and the script has positioned
    if ('process_id' in stored) return entry.body
    const translated = translate(stored)
    if (!translated) return null
    const attempt = stored.attempt === undefined ? {} : { attempt: stored.attempt }
    return Buffer.from(JSON.stringify({ ...translated, ...attempt, seq: entry.seq }))
  },
}

/** The last-known state of any job as a process. */
export function processView(state: JobState): ProcessView {
  return {
    process_id: state.id,
    process_type: KINDS[state.kind].processType,
    status: state.status,
    attempt: state.attempt,
    stale: state.stale,
    progress: progressOf(state),
    created_at: state.created_at,
    started_at: state.started_at,
    finished_at: state.finished_at,
    seq: state.seq,
    epoch: state.epoch,
  }
}

/** The final message of a job as a process, or null while there is none. */
export function processFinal(state: JobState): Record<string, unknown> | null {
  const entry = state.latest.get('final')
  const body = entry && processDialect.body(entry)
  return body ? (JSON.parse(body.toString()) as Record<string, unknown>) : null
}

/** Stored in the run dialect, of whatever kind: one field names the job. */
type RunMessage = (RunMessages[keyof RunMessages] | OptimizationMessages[keyof OptimizationMessages]) & { readonly attempt?: number }
type StoredMessage = RunMessage | (ProcessMessage & { readonly attempt?: number })

/** A final message carries the last progress, and stands in for it where the progress itself is gone. */
function progressOf(state: JobState): ProcessProgress | null {
  for (const key of ['final', 'progress']) {
    const entry = state.latest.get(key)
    const stored = entry && (messageOf(entry) as StoredMessage)
    if (!stored) continue
    const progress = 'process_id' in stored ? 'progress' in stored && stored.progress : lastOf(stored)
    if (progress) return progress
  }
  return null
}

/** Null for what the process dialect has no message for. */
function translate(stored: RunMessage): ProcessMessage | null {
  const { id, kind } = subjectOf(stored)
  const head = { process_id: id, process_type: KINDS[kind].processType }
  const { timestamp } = stored
  switch (stored.type) {
    case 'progress':
      return { type: 'process_progress', ...head, progress: progressIn(stored), timestamp }
    case 'metric_update':
    case 'optimization_iteration':
    case 'pareto_front':
      return null
    case 'status': {
      const { reason, max_attempts, delay_ms, error } = stored
      const why = Object.fromEntries(Object.entries({ reason, max_attempts, delay_ms, error }).filter(([, value]) => value !== undefined))
      return { type: STATUS_MESSAGES[stored.status as keyof typeof STATUS_MESSAGES], ...head, ...why, timestamp } // a final status has a final message
    }
    case 'completed': {
      const { metrics_summary, compute_time_s } = stored
      return { type: 'process_completed', ...head, result: metrics_summary, compute_time_s, ...endOf(stored), timestamp }
    }
    case 'error': {
      const { error, code, solver_log_tail: log_tail } = stored
      return { type: 'process_failed', ...head, error, code, ...(log_tail !== '' && { log_tail }), ...endOf(stored), timestamp }
    }
    case 'cancelled':
      return { type: 'process_cancelled', ...head, ...(stored.forced && { forced: stored.forced }), ...endOf(stored), timestamp }
    default:
      return assertNever(stored)
  }
}

function lastOf(stored: RunMessage): ProcessProgress | null {
  if (!('percent' in stored) || stored.percent === undefined) return null
  return progressIn({ ...stored, percent: stored.percent, message: 'message' in stored ? stored.message : '' })
}

/** What a final message says of the job's way up to it. */
function endOf(stored: RunMessage & { readonly type: 'completed' | 'error' | 'cancelled' }): ProcessEnd {
  const { attempts, duration_s } = stored
  const progress = lastOf(stored)
  return { ...(progress && { progress }), ...(attempts !== undefined && { attempts }), ...(duration_s !== undefined && { duration_s }) }
}

/** An optimization counts its evaluations, a run its percent. */
function progressIn(stored: {
  percent: number
  phase?: string | undefined
  message: string
  evaluated?: number
  total?: number
}): ProcessProgress {
  const { percent, phase, message, evaluated: current = percent, total = 100 } = stored
  return { current, total, detail: message, ...(phase !== undefined && { phase }) }
}

/** The job that a message of the run dialect is about, by the field that names it. */
function subjectOf(stored: RunMessage): { id: string; kind: KindName } {
  for (const kind of RUN_KIND_NAMES) {
    const id = (stored as Readonly<Record<string, unknown>>)[KINDS[kind].idField]
    if (typeof id === 'string') return { id, kind }
  }
  throw new TypeError(`no kind of job has the message ${JSON.stringify(stored)}`)
}

function assertNever(message: never): never {
  throw new TypeError(`no translation of ${JSON.stringify(message)}`)
}
