import { foldOwn, type KindMessage, type KindSnapshot, type KindView, resetOwn } from '../kinds/view.js'
import type { RunMessages, RunSnapshot } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import type { Sequenced } from './proof.js'

export type StatusChange = RunMessages['status'] & Sequenced & { readonly attempt: number }
export type FinalMessage = (RunMessages['completed'] | RunMessages['error'] | RunMessages['cancelled']) & Sequenced
export type LiveMessage =
  | StatusChange
  | FinalMessage
  | ((RunMessages['progress'] | RunMessages['metric_update']) & Sequenced)
  | (KindMessage & Sequenced)

/** The words of a job have changed. It has no position: each snapshot holds the same words. */
export interface WordsMessage {
  readonly type: 'words'
  readonly title: string | null
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly timestamp: string
}

/** The state of a job as a client knows it: the snapshot with every later message applied. */
export type JobView = Omit<RunSnapshot, 'type' | 'run_id' | 'recovered' | 'resync' | 'timestamp'> &
  KindView & {
    /** For runs; other kinds have their own id field. */
    readonly run_id?: string
    /** The final message of this execution. */
    readonly final: FinalMessage | null
  }

const FINAL_STATUS: Readonly<Record<FinalMessage['type'], Status>> = { completed: 'completed', error: 'failed', cancelled: 'cancelled' }

/** The first message on the socket of a job in the run dialect. */
export type JobSnapshot = RunSnapshot | KindSnapshot

export function isSnapshot(message: { readonly type: string }): message is JobSnapshot {
  const { epoch, seq } = message as Partial<JobSnapshot>
  return message.type === 'status' && 'recovered' in message && typeof epoch === 'string' && typeof seq === 'number'
}

export function isFinalMessage(message: LiveMessage): message is FinalMessage {
  return message.type in FINAL_STATUS
}

export function isWords(message: { readonly type: string }): message is WordsMessage {
  return message.type === 'words' && Array.isArray((message as Partial<WordsMessage>).tags)
}

/** The state with changed words, as the next snapshot would hold them. */
export function applyWords<T extends Partial<Record<'title' | 'tags' | 'metadata', unknown>>>(
  before: T,
  { title, tags, metadata }: Pick<WordsMessage, 'title' | 'tags' | 'metadata'>,
): T {
  const { title: _title, tags: _tags, metadata: _metadata, ...view } = before
  const words = { ...(title !== null && { title }), ...(tags.length > 0 && { tags }), ...(metadata && { metadata }) }
  return { ...view, ...words } as unknown as T // the fields of words are optional in every state
}

export function viewOf(snapshot: JobSnapshot): JobView {
  const { type: _type, recovered: _recovered, resync: _resync, timestamp: _timestamp, ...state } = snapshot
  return { ...state, final: null }
}

/** hop 10: applies the next message to the state. The caller has proved that it is the next one. */
export function apply(before: JobView, message: LiveMessage): JobView {
  const view = { ...before, stale: false }
  const seq = Math.max(view.seq, message.seq)
  switch (message.type) {
    case 'progress': {
      const { percent, phase, message: text, elapsed_s } = message
      return { ...view, seq, percent, phase, message: text, elapsed_s }
    }
    case 'metric_update':
      return { ...view, seq, metrics: { ...view.metrics, [message.metric_name]: { value: message.value, unit: message.unit } } }
    case 'status':
      return { ...applyStatus(view, message), seq }
    case 'completed':
    case 'error':
    case 'cancelled': {
      const { percent = view.percent, phase = view.phase, elapsed_s = view.elapsed_s } = message
      return { ...view, seq, status: FINAL_STATUS[message.type], percent, phase, elapsed_s, finished_at: message.timestamp, final: message }
    }
    default:
      return { ...view, ...foldOwn(message), seq } // for unknown messages only the position counts
  }
}

/** A new attempt, or a retry by the user, starts without measurements. */
function applyStatus(view: JobView, message: StatusChange): JobView {
  const { status, attempt, timestamp } = message
  const isNewExecution = view.finished_at !== null && status === 'queued'
  const cleared =
    isNewExecution || attempt !== view.attempt ? { percent: null, phase: null, message: null, elapsed_s: null, metrics: {} } : {}
  const found = isNewExecution ? resetOwn(view) : {}
  const started_at = status === 'running' ? (view.started_at ?? timestamp) : view.started_at
  const times = isNewExecution ? { started_at: null, finished_at: null, final: null } : { started_at }
  return { ...view, ...cleared, ...found, ...times, status, attempt }
}
