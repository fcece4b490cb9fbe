import { readJson } from '../protocol/json.js'
import { isComputed, STAMPS } from '../protocol/status.js'
import { type Entry, isCleared, timestampOf } from './entry.js'
import type { JobRecord } from './job-record.js'
import { clearedKeysOf, type Kind } from './kind.js'

/** A job as lists show it. */
export interface JobBrief extends JobRecord {
  readonly kind: Kind
}

/** The last-known state of a job: what a client receives when it connects. */
export interface JobState extends JobBrief {
  /** The normalized input as JSON, from which a lost queue entry is recreated. */
  readonly input: string
}

/** Applies the next entry to a state. The caller has checked that no entry is missing before it. */
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
  // Deleting first moves the key to the end, which keeps the map in the order of `seq`.
  state.latest.delete(entry.key)
  state.latest.set(entry.key, entry)
  state.seq = entry.seq
  state.sinceHeartbeatMs = isComputed(state.status) ? 0 : null
  state.stale = false
}

/**
 * The input of a job. A configured solver gets the stored one, with the exact text of its numbers; `queued` is the copy
 * of the queue, which holds doubles.
 */
export function inputOf({ solver, input }: JobState, queued: unknown): unknown {
  return solver === null ? queued : readJson(input)
}
