import type { ProcessMessage, ProcessProgress, ProcessView } from '../protocol/process-messages.js'
import type { RunMessages } from '../protocol/run-messages.js'
import { type Bytes, type Entry, messageOf } from './entry.js'
import type { JobBrief, JobState } from './job-state.js'
import type { Kind } from './kind.js'
import { type ProcessEnd, STATUS_MESSAGES } from './process-events.js'
import { storeClock } from './store-clock.js'
import { aboutFields, changedWords } from './words.js'

/**
 * `recovered`: the messages missed since the position `after` follow. `resync`: the client was too slow, so its backlog
 * was dropped.
 */
export interface SnapshotFlags {
  readonly recovered: boolean
  readonly after?: number
  readonly resync?: true
}

/** Translates entries and states into messages of one protocol. The hub does not interpret them otherwise. */
export interface Dialect {
  snapshot(state: JobState, flags: SnapshotFlags): Readonly<Record<string, unknown>>
  /** The message of an entry as UTF-8 JSON, or null if the dialect has none for it. */
  body(entry: Entry, job: JobOfEntry): Bytes | null
  /** The parsed form of `body`. */
  message(entry: Entry, job: JobOfEntry): Readonly<Record<string, unknown>> | null
  /** Type and id of a message about telemetry. `type` is that of the run dialect. */
  telemetryHead(id: string, kind: Kind, type: string): Readonly<Record<string, unknown>>
  /** The message about changed words. It has no position. */
  words(state: JobState): Readonly<Record<string, unknown>>
}

/** What a translation needs to know of the job. */
export type JobOfEntry = Pick<JobState, 'kind' | 'parent'>

/** Run dialect. Its entries are stored in this form, so their bytes are sent unchanged. */
export const runDialect: Dialect = {
  // A socket of one job knows its position.
  snapshot: (state, { after: _after, ...flags }) => {
    if (!state.kind.snapshot) throw new TypeError(`the kind ${state.kind.name} has no run dialect`)
    return { ...state.kind.snapshot(state), ...flags }
  },
  body: (entry) => entry.body,
  message: messageOf,
  telemetryHead: (id, { idField }, type) => ({ type, [idField]: id }),
  words: (state) => ({ type: 'words', [state.kind.idField]: state.id, ...changedWords(state), timestamp: storeClock.stamp() }),
}

/** Process dialect, for jobs of every kind. A run entry is translated once per entry and hub. */
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
  body: (entry, job) => {
    if (job.kind.dialect === 'process' && job.parent === null) return entry.body
    const message = processDialect.message(entry, job)
    return message && Buffer.from(JSON.stringify(message))
  },
  message: (entry, { kind, parent }) => {
    const child = parent !== null && { parent_id: parent }
    if (kind.dialect === 'process') return { ...messageOf(entry), ...child }
    const stored = runMessageOf(entry)
    const translated = translate(stored, entry.id, kind)
    return translated && { ...translated, ...child, ...(stored.attempt !== undefined && { attempt: stored.attempt }), seq: entry.seq }
  },
  words: (state) => {
    const head = { type: 'process_words', process_id: state.id, process_type: state.kind.processType }
    const child = state.parent !== null && { parent_id: state.parent }
    return { ...head, ...child, ...changedWords(state), timestamp: storeClock.stamp() }
  },
  telemetryHead: (id, { processType }, type) => ({ type: `process_${type}`, process_id: id, process_type: processType }),
}

/** The state of a job of any kind as a process. */
export function processView(state: JobBrief): ProcessView {
  return {
    process_id: state.id,
    process_type: state.kind.processType,
    status: state.status,
    attempt: state.attempt,
    stale: state.stale,
    progress: progressOf(state),
    created_at: state.created_at,
    started_at: state.started_at,
    finished_at: state.finished_at,
    ...aboutFields(state),
    seq: state.seq,
    epoch: state.epoch,
  }
}

/** The final message of a job in the process dialect; null for an active job. */
export function processFinal(state: JobBrief): Readonly<Record<string, unknown>> | null {
  const entry = state.latest.get('final')
  return entry ? processDialect.message(entry, state) : null
}

/** A message in the run dialect. A kind may add fields and types. */
type RunMessage = RunMessages[keyof RunMessages] & { readonly attempt?: number }

/** Entries were checked by the schemas of their kind when they were written. */
function runMessageOf(entry: Entry): RunMessage {
  return messageOf(entry) as RunMessage
}

/** The last progress: from the final message, which carries it, or else from the progress entry. Null without one. */
export function progressOf({ kind, latest }: JobBrief): ProcessProgress | null {
  for (const key of ['final', 'progress']) {
    const entry = latest.get(key)
    if (!entry) continue
    const progress =
      kind.dialect === 'process' ? (messageOf(entry) as { progress?: ProcessProgress }).progress : lastOf(runMessageOf(entry), kind)
    if (progress) return progress
  }
  return null
}

/** Null for messages without an equivalent: metrics, and messages of a kind's own. */
function translate(stored: RunMessage, process_id: string, kind: Kind): ProcessMessage | null {
  const head = { process_id, process_type: kind.processType }
  const { timestamp } = stored
  switch (stored.type) {
    case 'progress':
      return { type: 'process_progress', ...head, progress: progressIn(stored, kind), timestamp }
    case 'status': {
      const { reason, max_attempts, delay_ms, error, not_before } = stored
      const fields = Object.entries({ reason, max_attempts, delay_ms, error, not_before })
      const why = Object.fromEntries(fields.filter(([, value]) => value !== undefined))
      const type = STATUS_MESSAGES[stored.status as keyof typeof STATUS_MESSAGES] // final states have final messages
      return { type, ...head, ...why, timestamp }
    }
    case 'completed': {
      const { metrics_summary, compute_time_s } = stored
      return { type: 'process_completed', ...head, result: metrics_summary, compute_time_s, ...endOf(stored, kind), timestamp }
    }
    case 'error': {
      const { error, code, solver_log_tail: log_tail } = stored
      return { type: 'process_failed', ...head, error, code, ...(log_tail !== '' && { log_tail }), ...endOf(stored, kind), timestamp }
    }
    case 'cancelled':
      return { type: 'process_cancelled', ...head, ...(stored.forced && { forced: stored.forced }), ...endOf(stored, kind), timestamp }
    default:
      return null
  }
}

function lastOf(stored: RunMessage, kind: Kind): ProcessProgress | null {
  if (!('percent' in stored) || stored.percent === undefined) return null
  return progressIn({ ...stored, percent: stored.percent, message: 'message' in stored ? stored.message : '' }, kind)
}

/** Last progress and statistics of a final message. */
function endOf(stored: RunMessage & { readonly type: 'completed' | 'error' | 'cancelled' }, kind: Kind): ProcessEnd {
  const { attempts, duration_s, trace_id } = stored
  const progress = lastOf(stored, kind)
  return {
    ...(progress && { progress }),
    ...(attempts !== undefined && { attempts }),
    ...(duration_s !== undefined && { duration_s }),
    ...(trace_id !== undefined && { trace_id }),
  }
}

type StoredProgress = {
  readonly percent: number
  readonly phase?: string | undefined
  readonly message: string
  readonly eta_s?: number | null
  readonly step_s?: number | null
}

/** Steps if the kind counts them, else percent. */
function progressIn(stored: StoredProgress, kind: Kind): ProcessProgress {
  const { percent, phase, message, eta_s, step_s } = stored
  const { current, total } = kind.steps(stored) ?? { current: percent, total: 100 }
  return {
    current,
    total,
    detail: message,
    ...(phase !== undefined && { phase }),
    ...(eta_s !== undefined && { eta_s }),
    ...(step_s !== undefined && { step_s }),
  }
}
