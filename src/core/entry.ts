import { SOURCES, STATUSES, type Status } from '../protocol/status.js'

/**
 * `transient`: replaced by a newer entry with its key. `persisted`: logged, delivered in order. `final`: ends the
 * execution.
 */
export type EntryClass = 'transient' | 'persisted' | 'final'

/** What an event opens. A new `attempt` clears the latest `progress` and `metric:*`; a new `round` also `final`. */
export type Clears = 'attempt' | 'round'

/** An event without a position yet. Redis adds `seq` to `message`, and `attempt` for the key `status`. */
export interface JobEvent {
  /** Conflation key without blanks: `progress`, `metric:<name>`, `status`, `final`, … */
  readonly key: string
  readonly class: EntryClass
  readonly message: Readonly<Record<string, unknown>>
  /** The state that the job enters. */
  readonly to?: Status
  /** Restricts the sources that the state machine allows. */
  readonly from?: readonly Status[]
  readonly clears?: Clears
  /** Further keys to clear: those of the kind (`clearedKeysOf`). */
  readonly clearedKeys?: readonly string[]
  /** Dropped, instead of rejected, if the job is in none of the source states. */
  readonly optional?: boolean
}

/** The states from which an event may enter `to`; all states for an event without `to`. */
export function sourcesOf({ to, from }: JobEvent): readonly Status[] {
  if (!to) return STATUSES
  return from ? SOURCES[to].filter((status) => from.includes(status)) : SOURCES[to]
}

/** The members of a `Buffer` that are used. A page has no types of Node, and its kinds refer to entries. */
export interface Bytes extends Uint8Array {
  equals(other: Uint8Array): boolean
  toString(encoding?: 'utf8' | 'latin1' | 'hex', start?: number, end?: number): string
}

/** An event with its position. `body`: the message as UTF-8 JSON, the same bytes in hash, log, channel and browser. */
export interface Entry {
  readonly id: string
  /** Identity of the stored history that `seq` belongs to. */
  readonly generation: string
  /** Position in the job, from 1, +1 for each event. */
  readonly seq: number
  readonly class: EntryClass
  readonly key: string
  readonly to?: Status
  readonly clears?: Clears
  readonly body: Bytes
}

/**
 * Identity of a writer, for fencing: by `round`, then by `token`, which rises with each start by BullMQ, then by `n`,
 * which rises with each write. `n` 0 is the control plane: fenced by `round` and state machine only.
 */
export interface Writer {
  readonly round: number
  readonly token: number
  readonly n: number
}

/** The writer of the control plane: submit, cancel, retry, finalize. */
export function controlWriter(round: number): Writer {
  return { round, token: 0, n: 0 }
}

/** Smallest `n` of a fencing write: later writes with the same token are rejected. */
export const FENCED_FROM = Number.MAX_SAFE_INTEGER - 1

/**
 * The writer that fences a lost worker: later writes of that worker are rejected, and so is this write if another
 * worker has started meanwhile. The ends of its attempt and of its execution are two writes, so they have two numbers.
 */
export function fencingWriter({ round, token }: { readonly round: number; readonly token: number }, ends: 'attempt' | 'round'): Writer {
  return { round, token, n: ends === 'attempt' ? FENCED_FROM : FENCED_FROM + 1 }
}

/** A position in the history of a job. `epoch`: identity of that history as clients see it. */
export interface Position {
  readonly epoch: string
  readonly seq: number
}

/** Whether a new attempt or execution clears the latest entry of this key. `further`: keys that the kind clears. */
export function isCleared(key: string, clears: Clears, further: readonly string[]): boolean {
  return key === 'progress' || key.startsWith('metric:') || (clears === 'round' && key === 'final') || further.includes(key)
}

/** The parsed message of an entry. */
export function messageOf(entry: Entry): Record<string, unknown> {
  return JSON.parse(entry.body.toString()) as Record<string, unknown>
}

/** When the event was created, ISO 8601, by the clock of its writer. */
export function timestampOf(entry: Entry): string {
  return stampAtEnd(entry) ?? String(messageOf(entry).timestamp)
}

/** `timestamp` is the last field of an event, followed only by numbers that the Lua script adds. */
const STAMP = /,"timestamp":"([^"\\]+)"(?:,"\w+":\d+)*\}$/
/** The timestamp is searched in this many bytes at the end of a message. */
const STAMP_BYTES = 128

/** `timestampOf` in epoch ms; NaN if it is not at the end. Constant time: the message is not parsed. */
export function createdAtMs(entry: Entry): number {
  return Date.parse(stampAtEnd(entry) ?? '')
}

function stampAtEnd({ body }: Entry): string | undefined {
  return STAMP.exec(body.toString('latin1', Math.max(0, body.length - STAMP_BYTES)))?.[1]
}
