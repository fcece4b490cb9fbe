/**
 * The state machine of a job. Redis enforces it: `publish.lua` gets the source states of a transition from here.
 *
 *            ┌──── returned ─────┐                ┌─► completed
 *   queued ──┴─► running ────────┴────────────────┼─► failed ─────┐ explicit retry:
 *     │ ▲         │  ▲   │  ▲   └─► cancelling ───┼─► cancelled ──┤ back to queued,
 *     │ │         ▼  │   ▼  │                     │               │ round + 1
 *     │ │      retrying paused ───────────────────┘               │
 *     └─┼──────────────────► cancelled | failed                   │
 *       └─────────────────────────────────────────────────────────┘
 */
export const STATUSES = ['queued', 'running', 'retrying', 'paused', 'cancelling', 'completed', 'failed', 'cancelled'] as const
export type Status = (typeof STATUSES)[number]

export const FINAL_STATUSES = ['completed', 'failed', 'cancelled'] as const
export type FinalStatus = (typeof FINAL_STATUSES)[number]

/** Types of the final messages, in both dialects. */
export const FINAL_TYPES: readonly string[] = [
  'completed',
  'error',
  'cancelled',
  'process_completed',
  'process_failed',
  'process_cancelled',
]

/** Source states of each state. A new job starts as `queued`; `completed` has no exit. */
export const SOURCES: Readonly<Record<Status, readonly Status[]>> = {
  queued: ['running', 'failed', 'cancelled'],
  running: ['queued', 'retrying', 'paused'],
  retrying: ['running'],
  paused: ['running'],
  cancelling: ['running'],
  completed: ['running', 'cancelling'],
  failed: ['queued', 'retrying', 'paused', 'running', 'cancelling'],
  cancelled: ['queued', 'running', 'retrying', 'paused', 'cancelling'],
}

/** The timestamp that a state sets when an execution first reaches it. */
export const STAMPS: Readonly<Partial<Record<Status, 'started_at' | 'finished_at'>>> = {
  running: 'started_at',
  completed: 'finished_at',
  failed: 'finished_at',
  cancelled: 'finished_at',
}

export function isStatus(text: string): text is Status {
  return (STATUSES as readonly string[]).includes(text)
}

export function isFinal(status: Status): status is FinalStatus {
  return (FINAL_STATUSES as readonly string[]).includes(status)
}

/** Whether a worker computes the job in this state. */
export function isComputed(status: Status): boolean {
  return status === 'running' || status === 'cancelling'
}

/** Whether the transition exists. Leaving a final state is an explicit retry and opens a new execution. */
export function mayEnter(from: Status, to: Status): boolean {
  return SOURCES[to].includes(from)
}
