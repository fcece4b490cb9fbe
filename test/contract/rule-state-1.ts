import type { Status } from '../../src/protocol/status.js'

/** Rule STATE-1, written out by hand from docs/reference/protocol.md: what the table of the code is held against. From each state, the states that may follow. */
export const EDGES: Readonly<Record<Status, readonly Status[]>> = {
  queued: ['running', 'failed', 'cancelled'],
  running: ['queued', 'retrying', 'paused', 'cancelling', 'completed', 'failed', 'cancelled'],
  retrying: ['running', 'failed', 'cancelled'],
  paused: ['running', 'failed', 'cancelled'],
  cancelling: ['completed', 'failed', 'cancelled'],
  // Final: what follows is an explicit retry, in a new round.
  completed: [],
  failed: ['queued'],
  cancelled: ['queued'],
}

/** A way from `queued` into each state. */
export const WAYS: Readonly<Record<Status, readonly Status[]>> = {
  queued: [],
  running: ['running'],
  retrying: ['running', 'retrying'],
  paused: ['running', 'paused'],
  cancelling: ['running', 'cancelling'],
  completed: ['running', 'completed'],
  failed: ['running', 'failed'],
  cancelled: ['running', 'cancelling', 'cancelled'],
}
