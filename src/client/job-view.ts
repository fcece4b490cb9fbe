import { foldOwn, type KindMessage, type KindSnapshot, type KindView, resetOwn } from '../kinds/view.js'
import type { RunMessages, RunSnapshot } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import type { Place } from './proof.js'

export type StatusChange = RunMessages['status'] & Place & { readonly attempt: number }
export type FinalMessage = (RunMessages['completed'] | RunMessages['error'] | RunMessages['cancelled']) & Place
export type LiveMessage =
  | StatusChange
  | FinalMessage
  | ((RunMessages['progress'] | RunMessages['metric_update']) & Place)
  | (KindMessage & Place)

/** The state of a job as a client knows it: the snapshot, and every message since folded into it. */
export type JobView = Omit<RunSnapshot, 'type' | 'run_id' | 'recovered' | 'resync' | 'timestamp'> &
  KindView & {
    /** Of a run its id; other kinds have a field of their own. */
    readonly run_id?: string
    /** The final message of this round. */
    readonly final: FinalMessage | null
  }

const FINAL_STATUS: Readonly<Record<FinalMessage['type'], Status>> = { completed: 'completed', error: 'failed', cancelled: 'cancelled' }

/** Opens the socket of a job in the run dialect. */
export type JobSnapshot = RunSnapshot | KindSnapshot

export function isSnapshot(message: { readonly type: string }): message is JobSnapshot {
  return message.type === 'status' && 'recovered' in message
}

export function isFinalMessage(message: LiveMessage): message is FinalMessage {
  return message.type in FINAL_STATUS
}

export function viewOf(snapshot: JobSnapshot): JobView {
  const { type: _type, recovered: _recovered, resync: _resync, timestamp: _timestamp, ...state } = snapshot
  return { ...state, final: null }
}

/** hop 10: the next message, folded into the state. The caller has proved that it is the next one. */
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
      return { ...view, ...foldOwn(message), seq } // of a message that no kind here has, the position counts
  }
}

/** A new attempt, or an explicit retry of what had ended, begins with nothing measured. */
function applyStatus(view: JobView, message: StatusChange): JobView {
  const { status, attempt, timestamp } = message
  const isNewRound = view.finished_at !== null && status === 'queued'
  const cleared = isNewRound || attempt !== view.attempt ? { percent: null, phase: null, message: null, elapsed_s: null, metrics: {} } : {}
  const found = isNewRound ? resetOwn(view) : {}
  const started_at = status === 'running' ? (view.started_at ?? timestamp) : view.started_at
  const round = isNewRound ? { started_at: null, finished_at: null, final: null } : { started_at }
  return { ...view, ...cleared, ...found, ...round, status, attempt }
}
