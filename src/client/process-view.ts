import type { ProcessList, ProcessMessages, ProcessSnapshot, ProcessView, ProcessWords } from '../protocol/process-messages.js'
import type { Status } from '../protocol/status.js'
import type { Sequenced } from './proof.js'

/** Position fields of a process message. `epoch` is set in the first one if no snapshot has named it. */
interface SequencedInEpoch extends Sequenced {
  readonly epoch?: string
  /** The parent of a child job. */
  readonly parent_id?: string
}

export type FinalProcessMessage = ProcessMessages[keyof typeof FINAL_STATUS] & SequencedInEpoch
export type ProcessChange = ProcessMessages[keyof typeof CHANGED_STATUS] & SequencedInEpoch & { readonly attempt: number }
export type LiveProcessMessage =
  | FinalProcessMessage
  | ProcessChange
  | (ProcessMessages['process_progress'] & SequencedInEpoch)
  | (ProcessMessages['process_result'] & SequencedInEpoch)

/** A process as a client knows it: a state with every later message applied. */
export type Process = ProcessView & {
  /** Intermediate results that this watch received in this attempt, the newest `MAX_RESULTS`. */
  readonly results: readonly Readonly<Record<string, unknown>>[]
  /** The final message of this execution, if it was received: a list only says that a process has ended. */
  readonly final: FinalProcessMessage | null
}

/** Maximum results that a view keeps per process. */
export const MAX_RESULTS = 1000

const FINAL_STATUS = {
  process_completed: 'completed',
  process_failed: 'failed',
  process_cancelled: 'cancelled',
} as const satisfies Partial<Record<keyof ProcessMessages, Status>>

const CHANGED_STATUS = {
  process_queued: 'queued',
  process_started: 'running',
  process_retrying: 'retrying',
  process_paused: 'paused',
  process_cancelling: 'cancelling',
} as const satisfies Partial<Record<keyof ProcessMessages, Status>>

export function isProcessList(message: { readonly type: string }): message is ProcessList {
  const { processes, recent } = message as Partial<ProcessList>
  return message.type === 'process_list' && Array.isArray(processes) && Array.isArray(recent)
}

export function isProcessSnapshot(message: { readonly type: string }): message is ProcessSnapshot {
  const { process } = message as Partial<ProcessSnapshot>
  return message.type === 'subscribed' && typeof process?.epoch === 'string' && typeof process.seq === 'number'
}

export function isProcessWords(message: { readonly type: string }): message is ProcessWords {
  const { process_id, tags } = message as Partial<ProcessWords>
  return message.type === 'process_words' && typeof process_id === 'string' && Array.isArray(tags)
}

export function isFinalProcessMessage(message: LiveProcessMessage): message is FinalProcessMessage {
  return message.type in FINAL_STATUS
}

/** A received state, combined with results and final message if they belong to the same attempt and execution. */
export function processOf(state: ProcessView, before: Process | undefined): Process {
  const isSameAttempt = before?.epoch === state.epoch && before.attempt === state.attempt
  // A process that has ended continues only as a new execution.
  const isSame = isSameAttempt && (before.finished_at === null || before.finished_at === state.finished_at)
  return { ...state, results: isSame ? before.results : [], final: isSame ? before.final : null }
}

/** A process whose first message has just arrived. */
export function newProcess({ process_id, process_type, parent_id, timestamp, epoch = '' }: LiveProcessMessage): Process {
  const parent = parent_id === undefined ? {} : { parent_id }
  const nothing = { progress: null, started_at: null, finished_at: null, seq: 0, results: [], final: null }
  return { process_id, process_type, status: 'queued', attempt: 1, stale: false, created_at: timestamp, epoch, ...parent, ...nothing }
}

/** Applies the next message to the state. The caller has proved that it is the next one. */
export function applyProcess(before: Process, message: LiveProcessMessage): Process {
  const process = { ...before, stale: false }
  const seq = Math.max(process.seq, message.seq)
  switch (message.type) {
    case 'process_progress':
      return { ...process, seq, progress: message.progress }
    case 'process_result': {
      const result = message.result as Record<string, unknown> // an object, by its schema
      return { ...process, seq, results: [...process.results, result].slice(-MAX_RESULTS) }
    }
    case 'process_completed':
    case 'process_failed':
    case 'process_cancelled': {
      const { progress = process.progress, timestamp: finished_at } = message
      return { ...process, seq, status: FINAL_STATUS[message.type], progress, finished_at, final: message }
    }
    case 'process_queued':
    case 'process_started':
    case 'process_retrying':
    case 'process_paused':
    case 'process_cancelling':
      return { ...applyChange(process, message), seq }
    default:
      return { ...process, seq } // a later version's message: its position counts, its meaning is unknown
  }
}

/** Applies a replayed message. The state already includes it, except for results and the final message. */
export function replayProcess(process: Process, message: LiveProcessMessage): Process {
  if (message.type === 'process_result') return { ...applyProcess(process, message), seq: process.seq }
  if (isFinalProcessMessage(message) && message.seq === process.seq) return { ...process, final: message }
  // A new attempt or execution started after it.
  if (isFinalProcessMessage(message) || message.type === 'process_retrying') return { ...process, results: [] }
  return process
}

/** A new attempt, or a retry by the user, starts without progress and results. */
function applyChange(process: Process, { type, attempt, timestamp }: ProcessChange): Process {
  const status = CHANGED_STATUS[type]
  const isNewExecution = process.finished_at !== null && status === 'queued'
  const cleared = isNewExecution || attempt !== process.attempt ? { progress: null, results: [] } : {}
  const started_at = status === 'running' ? (process.started_at ?? timestamp) : process.started_at
  const times = isNewExecution ? { started_at: null, finished_at: null, final: null } : { started_at }
  return { ...process, ...cleared, ...times, status, attempt }
}
