import { SOURCES, STATUSES, type Status } from '../protocol/status.js'

/** A newer `transient` entry replaces one with its key; a `persisted` one is logged and delivered in order; a `final` one ends the round. */
export type EntryClass = 'transient' | 'persisted' | 'final'

/** What an event opens, and so makes void: a new `attempt` the latest `progress` and `metric:*`, a new `round` also `final`. */
export type Clears = 'attempt' | 'round'

/** A fact about a job that has no position yet. `message` is what the browser will read, lacking only `seq` (and `attempt`, for the key `status`). */
export interface JobEvent {
  /** Conflation key: `progress`, `metric:<name>`, `status`, `final`, … without blanks. */
  readonly key: string
  readonly class: EntryClass
  readonly message: Readonly<Record<string, unknown>>
  /** The state that the job enters with it. */
  readonly to?: Status
  /** Narrows the states that it may come from: the sources of the state machine, less those that do not stand here. */
  readonly from?: readonly Status[]
  readonly clears?: Clears
  /** Further keys that it makes void: those of the kind (`openedBy`). */
  readonly clearedKeys?: readonly string[]
  /** Left out, instead of refused, where the job is in no state that it may come from. */
  readonly optional?: boolean
}

/** The states in which an event may enter its own; any, where it enters none. */
export function sourcesOf({ to, from }: JobEvent): readonly Status[] {
  if (!to) return STATUSES
  return from ? SOURCES[to].filter((status) => from.includes(status)) : SOURCES[to]
}

/** An event with its position: `body` is the message as UTF-8 JSON, the same bytes in hash, log, channel and browser. */
export interface Entry {
  readonly id: string
  /** Identity of the stored count that `seq` belongs to. */
  readonly generation: string
  /** Position in the job, from 1, +1 for each event. */
  readonly seq: number
  readonly class: EntryClass
  readonly key: string
  readonly to?: Status
  readonly clears?: Clears
  readonly body: Buffer
}

/** Who writes: fenced by round, then token (rises with each start by BullMQ); `n` rises with each write. `n` 0 is the control plane: fenced by round and state machine alone. */
export interface Writer {
  readonly round: number
  readonly token: number
  readonly n: number
}

/** The writer of the control plane: submit, cancel, retry, finalize. */
export function controlWriter(round: number): Writer {
  return { round, token: 0, n: 0 }
}

/** From this number on a worker is given up (`fencingWriter`). */
export const GIVEN_UP = Number.MAX_SAFE_INTEGER - 1

/**
 * The writer of whoever gives a worker up, after what it saw of it: no later write of that worker is taken, and the write is refused where another one has
 * begun meanwhile. What ends its attempt and what ends its round are two writes, so they have two numbers.
 */
export function fencingWriter({ round, token }: { readonly round: number; readonly token: number }, ends: 'attempt' | 'round'): Writer {
  return { round, token, n: ends === 'attempt' ? GIVEN_UP : GIVEN_UP + 1 }
}

/** A place in a job's stream: `epoch` is the identity of the count as clients see it. */
export interface Position {
  readonly epoch: string
  readonly seq: number
}

/** Whether a new attempt or round makes the latest entry with this key void. `further`: the keys of the kind that it clears. */
export function isCleared(key: string, clears: Clears, further: readonly string[]): boolean {
  return key === 'progress' || key.startsWith('metric:') || (clears === 'round' && key === 'final') || further.includes(key)
}

/** The message of an entry, parsed. The broker's script has spliced it together from validated JSON. */
export function messageOf(entry: Entry): Record<string, unknown> {
  return JSON.parse(entry.body.toString()) as Record<string, unknown>
}

/** When its event was made, ISO 8601, by the clock of whoever made it. */
export function timestampOf(entry: Entry): string {
  return stampAtEnd(entry) ?? String(messageOf(entry).timestamp)
}

/** The last field of every event; behind it stands only what the broker's script has added, all of it numbers. */
const STAMP = /,"timestamp":"([^"\\]+)"(?:,"\w+":\d+)*\}$/
/** Of a message, the bytes from its end in which its timestamp is looked for. */
const STAMP_BYTES = 128

/** The same in ms; NaN where it does not stand at the end. Nothing is parsed, so that it costs as much whatever the size of the message. */
export function madeAt(entry: Entry): number {
  return Date.parse(stampAtEnd(entry) ?? '')
}

function stampAtEnd({ body }: Entry): string | undefined {
  return STAMP.exec(body.toString('latin1', Math.max(0, body.length - STAMP_BYTES)))?.[1]
}
