import type { OptimizationMessages, OptimizationSnapshot } from '../kinds/optimization/messages.js'
import type { RunMessages, RunSnapshot } from '../protocol/run-messages.js'
import type { Status } from '../protocol/status.js'
import type { Place } from './proof.js'

export type StatusChange = RunMessages['status'] & Place & { readonly attempt: number }
export type FinalMessage = (RunMessages['completed'] | RunMessages['error'] | RunMessages['cancelled']) & Place
export type LiveMessage =
  | StatusChange
  | FinalMessage
  | ((RunMessages['progress'] | RunMessages['metric_update']) & Place)
  | (OptimizationMessages['optimization_iteration' | 'pareto_front'] & Place)

/** The state of a job as a client knows it: the snapshot, and every message since folded into it. */
export type JobView = Omit<RunSnapshot, 'type' | 'run_id' | 'recovered' | 'resync' | 'timestamp'> & {
  /** Of a run its id, of an optimization `optimization_id`. */
  readonly run_id?: string
  readonly optimization_id?: string
  /** Of an optimization: what it has found so far. */
  readonly counters?: OptimizationSnapshot['counters']
  readonly front?: OptimizationSnapshot['front']
  readonly best?: OptimizationSnapshot['best']
  /** The final message of this round. */
  readonly final: FinalMessage | null
}

const FINAL_STATUS: Readonly<Record<FinalMessage['type'], Status>> = { completed: 'completed', error: 'failed', cancelled: 'cancelled' }

/** Opens the socket of a job in the run dialect. */
export type JobSnapshot = RunSnapshot | OptimizationSnapshot

const NOTHING_FOUND = { evaluated: 0, total: null, generation: 0, feasible: 0, failed: 0 }

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
    case 'optimization_iteration': {
      const { iteration: evaluated, total, generation, counters } = message
      return { ...view, seq, counters: { evaluated, total, generation, ...counters } }
    }
    case 'pareto_front':
      return { ...view, seq, front: message.points, best: message.best }
    case 'status':
      return { ...applyStatus(view, message), seq }
    case 'completed':
    case 'error':
    case 'cancelled': {
      const { percent = view.percent, phase = view.phase, elapsed_s = view.elapsed_s } = message
      return { ...view, seq, status: FINAL_STATUS[message.type], percent, phase, elapsed_s, finished_at: message.timestamp, final: message }
    }
    default:
      return { ...view, seq } // a later version's message: its position counts, its meaning is unknown
  }
}

/** A new attempt, or an explicit retry of what had ended, begins with nothing measured. */
function applyStatus(view: JobView, message: StatusChange): JobView {
  const { status, attempt, timestamp } = message
  const isNewRound = view.finished_at !== null && status === 'queued'
  const cleared = isNewRound || attempt !== view.attempt ? { percent: null, phase: null, message: null, elapsed_s: null, metrics: {} } : {}
  const found = isNewRound && view.counters ? { counters: NOTHING_FOUND, front: [], best: null } : {}
  const started_at = status === 'running' ? (view.started_at ?? timestamp) : view.started_at
  const round = isNewRound ? { started_at: null, finished_at: null, final: null } : { started_at }
  return { ...view, ...cleared, ...found, ...round, status, attempt }
}
