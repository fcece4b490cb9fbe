import { readJson } from '../protocol/json.js'
import { isComputed, STAMPS } from '../protocol/status.js'
import { type Entry, isCleared, timestampOf } from './entry.js'
import type { JobRecord } from './job-record.js'
import { clearedKeysOf, type Kind } from './kind.js'

/** The last-known state of a job, as the store is read: whoever has it needs no registry of kinds. What a client gets when it connects. */
export interface JobState extends JobRecord {
  readonly kind: Kind
}

/** Folds the next entry into a state; the caller has proved that it is the next one. */
export function advance(state: JobState, entry: Entry): void {
  if (entry.clears) {
    const cleared = clearedKeysOf(state.kind, entry.clears)
    for (const key of state.latest.keys()) if (isCleared(key, entry.clears, cleared)) state.latest.delete(key)
    state.attempt = entry.clears === 'round' ? 1 : state.attempt + 1
    if (entry.clears === 'round') {
      state.round += 1
      state.started_at = null
      state.finished_at = null
      state.token = 0
      state.n = 0
    }
  }
  if (entry.to) {
    state.status = entry.to
    const stamp = STAMPS[entry.to]
    if (stamp) state[stamp] ??= timestampOf(entry)
  }
  // Deleting first moves the key to the end, so that the map stays in seq order.
  state.latest.delete(entry.key)
  state.latest.set(entry.key, entry)
  state.seq = entry.seq
  state.sinceHeartbeatMs = isComputed(state.status) ? 0 : null
  state.stale = false
}

/** The input of a job, of which the queue has handed out a copy: for a configured solver as it is stored, since the queue's copy has lost the text of its numbers. */
export function inputOf({ solver, input }: JobState, queued: unknown): unknown {
  return solver === null ? queued : readJson(input)
}
