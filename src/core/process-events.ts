import { PROCESS_MESSAGES, type ProcessMessages, type ProcessProgress } from '../protocol/process-messages.js'
import type { FinalStatus, Status } from '../protocol/status.js'
import { type JobEvent, messageOf } from './entry.js'
import type { JobRecord } from './job-record.js'
import { type Failure, type RetryNotice, type StartNotice, statsOf } from './lifecycle.js'
import { messageBuilder } from './message-builder.js'

/** Last progress and statistics of a final message. */
export type ProcessEnd = Pick<ProcessMessages['process_cancelled'], 'progress' | 'attempts' | 'duration_s' | 'trace_id'>

/** Message types of the states that are not final. */
export const STATUS_MESSAGES = {
  queued: 'process_queued',
  running: 'process_started',
  retrying: 'process_retrying',
  paused: 'process_paused',
  cancelling: 'process_cancelling',
} as const satisfies Record<Exclude<Status, FinalStatus>, keyof ProcessMessages>

/** Event builders of the process dialect. Each throws `TypeError` for a message that its schema rejects. */
export function processEvents(processType: string, messages = PROCESS_MESSAGES) {
  const message = messageBuilder(messages, (id) => ({ process_id: id, process_type: processType }))
  return {
    last,

    progress: (id: string, progress: ProcessProgress): JobEvent => ({
      key: 'progress',
      class: 'transient',
      message: message('process_progress', id, { progress }),
    }),

    /** An intermediate result, logged and delivered in order. */
    result: (id: string, result: Record<string, unknown>): JobEvent => ({
      key: 'result',
      class: 'persisted',
      message: message('process_result', id, { result }),
    }),

    status: (id: string, to: Status, reason?: string, notice?: RetryNotice | StartNotice): JobEvent => {
      if (!(to in STATUS_MESSAGES)) throw new TypeError(`no status message for ${to}: final states have messages of their own`)
      const type = STATUS_MESSAGES[to as keyof typeof STATUS_MESSAGES] // checked above
      return { key: 'status', class: 'persisted', to, message: message(type, id, { ...(reason !== undefined && { reason }), ...notice }) }
    },

    completed: (id: string, { compute_time_s, ...result }: { compute_time_s: number }, last: ProcessEnd): JobEvent => ({
      key: 'final',
      class: 'final',
      to: 'completed',
      message: message('process_completed', id, { result, compute_time_s, ...last }),
    }),

    failed: (id: string, { error, code, own_code, log_tail }: Failure, last: ProcessEnd): JobEvent => ({
      key: 'final',
      class: 'final',
      to: 'failed',
      message: message('process_failed', id, { error, code: own_code ?? code, ...(log_tail !== '' && { log_tail }), ...last }),
    }),

    cancelled: (id: string, last: ProcessEnd, forced?: true): JobEvent => ({
      key: 'final',
      class: 'final',
      to: 'cancelled',
      message: message('process_cancelled', id, { ...last, ...(forced && { forced }) }),
    }),
  }
}

/** Stored messages were checked when they were built, so the cast holds. */
function last(state: JobRecord): ProcessEnd {
  const entry = state.latest.get('progress')
  if (!entry) return statsOf(state)
  const { eta_s: _eta, step_s: _step, ...progress } = (messageOf(entry) as ProcessMessages['process_progress']).progress
  return { progress, ...statsOf(state) }
}
