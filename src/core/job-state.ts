import { readJson } from '../protocol/json.js'
import { isComputed, STAMPS, type Status } from '../protocol/status.js'
import { type Entry, isCleared } from './entry.js'
import type { KindName } from './kinds.js'

/** The last-known state of a job: its record and the latest entry per key. What the Redis hash holds and what a client gets when it connects. */
export interface JobState {
  readonly id: string
  readonly kind: KindName
  readonly owner: string
  /** Which configured solver computes it; null where its kind's own does. */
  readonly solver: string | null
  /** The job that it is a part of; null for one that somebody submitted. */
  readonly parent: string | null
  /** The normalised input as JSON, so that a lost queue can be filled again. */
  readonly input: string
  status: Status
  round: number
  attempt: number
  /** For how long, when this was read, the processor that computes the job had given no sign of life; null where none computes it. */
  sinceHeartbeatMs: number | null
  /** Whether that was too long. */
  stale: boolean
  /** How long a round may take from its first start. */
  readonly timeoutMs: number
  /** ISO 8601; null while it has not happened in this round. */
  readonly created_at: string
  started_at: string | null
  finished_at: string | null
  /** Identity of the stored history that the newest entry belongs to. */
  generation: string
  /** Identity of the history as clients see it: another one where the store may lack the last entries that clients know. */
  epoch: string
  seq: number
  /** Fencing token of the last worker that wrote in this round, 0 before; as it was when the state was read, since entries do not carry it. */
  token: number
  /** Number of that worker's last write, 0 before; read as `token` is. */
  n: number
  readonly latest: Map<string, Entry>
}

/** Folds the next entry into a state; the caller has proved that it is the next one. */
export function advance(state: JobState, entry: Entry): void {
  if (entry.clears) {
    for (const key of state.latest.keys()) if (isCleared(key, entry.clears)) state.latest.delete(key)
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

/** The message of an entry, parsed. The broker's script has spliced it together from validated JSON. */
export function messageOf(entry: Entry): Record<string, unknown> {
  return JSON.parse(entry.body.toString()) as Record<string, unknown>
}

/** When its event was made, ISO 8601, by the clock of whoever made it. */
export function timestampOf(entry: Entry): string {
  return String(messageOf(entry).timestamp)
}

/** The last field of every event; behind it stands only what the broker's script has added, all of it numbers. */
const STAMP = /,"timestamp":"([^"\\]+)"(?:,"\w+":\d+)*\}$/
/** Of a message, the bytes from its end in which its timestamp is looked for. */
const STAMP_BYTES = 128

/** The same in ms, read from the end of the bytes and not parsed, so that it costs as much whatever the size of the message; NaN where it does not stand there. */
export function madeAt({ body }: Entry): number {
  return Date.parse(STAMP.exec(body.toString('latin1', Math.max(0, body.length - STAMP_BYTES)))?.[1] ?? '')
}
