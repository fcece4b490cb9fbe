/**
 * The life of a job, pure. Redis enforces it: `publish.lua` gets the sources of a transition from here.
 *
 *            ┌──── hand-back ────┐                ┌─► completed
 *   queued ──┴─► running ────────┴────────────────┼─► failed ─────┐ explicit retry:
 *     │ ▲         │  ▲   │  ▲   └─► cancelling ───┼─► cancelled ──┤ back to queued,
 *     │ │         ▼  │   ▼  │                     │               │ round + 1
 *     │ │      retrying paused ───────────────────┘               │
 *     └─┼──────────────────► cancelled | failed                   │
 *       └─────────────────────────────────────────────────────────┘
 */
export const STATUSES = ['queued', 'running', 'retrying', 'paused', 'cancelling', 'completed', 'failed', 'cancelled'];
export const FINAL_STATUSES = ['completed', 'failed', 'cancelled'];
/** From which states a job may enter each state. A new job is born `queued`; `completed` never leaves. */
export const SOURCES = {
    queued: ['running', 'failed', 'cancelled'],
    running: ['queued', 'retrying', 'paused'],
    retrying: ['running'],
    paused: ['running'],
    cancelling: ['running'],
    completed: ['running', 'cancelling'],
    failed: ['queued', 'retrying', 'paused', 'running', 'cancelling'],
    cancelled: ['queued', 'running', 'retrying', 'paused', 'cancelling'],
};
/** The moment that a state sets, the first time a round reaches it. */
export const STAMPS = {
    running: 'started_at',
    completed: 'finished_at',
    failed: 'finished_at',
    cancelled: 'finished_at',
};
export function isStatus(text) {
    return STATUSES.includes(text);
}
export function isFinal(status) {
    return FINAL_STATUSES.includes(status);
}
/** Whether a worker computes a job in this state. */
export function isComputed(status) {
    return status === 'running' || status === 'cancelling';
}
/** Whether the machine has this edge. Leaving a final state is an explicit retry and opens a new round. */
export function mayEnter(from, to) {
    return SOURCES[to].includes(from);
}
