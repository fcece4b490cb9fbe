import type { Entry, JobEvent, Position, Writer } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import type { Status } from '../protocol/status.js'

/** Why a write was not done. `final`: the round has ended. `stale_writer`: another worker has taken over. `transition`: the state machine has no such edge. */
export type WriteRefusal =
  | 'unknown_job'
  | 'stale_round'
  | 'stale_writer'
  | 'stale_write'
  | 'final'
  | 'transition'
  | 'too_many_keys'
  | 'too_big'
  | 'stale_checkpoint'

/** `seq` is that of the last event written; `status` the job's state after the write, so a writer learns that it shall stop (`cancelling`). */
export type Written = { readonly ok: true; readonly seq: number; readonly status: Status }
export type Refused = {
  readonly ok: false
  readonly reason: WriteRefusal
  readonly status: Status | null
  /** For people, where the reason is about what is written: the event, its value and the limit. */
  readonly text?: string
  /** Which of the events it is about, where that is one. */
  readonly index?: number
}

/** An event whose message is larger than a message may be. `bytes`: its JSON as it would be stored, lacking only `seq`. */
export function tooBig(events: readonly JobEvent[], index: number, bytes: number, { maxEventBytes }: BrokerLimits): Refused {
  const event = events[index]
  const name = event?.class === 'final' ? event.to : event?.key.split(':', 1)[0]
  return { ok: false, reason: 'too_big', status: null, text: textOfTooBig(`${name}`, bytes, maxEventBytes), index }
}

export function textOfTooBig(name: string, bytes: number, maxEventBytes: number): string {
  return `${name}: message of ${bytes} bytes exceeds MAX_EVENT_BYTES (${maxEventBytes})`
}

/** Events with new keys, for which a job has no room. */
export function tooManyKeys(events: readonly JobEvent[], status: Status | null, { maxKeys }: BrokerLimits): Refused {
  const names = events.flatMap(({ message }) => ('metric_name' in message ? [`metric ${JSON.stringify(message.metric_name)}`] : []))
  const text = `${names.at(-1) ?? 'event'}: one more metric or other key than MAX_KEYS (${maxKeys}) allows`
  return { ok: false, reason: 'too_many_keys', status, text }
}

export interface Publisher {
  /**
   * Positions events and makes them known, all or none, in one atomic act: latest entry per key, log, channel.
   * A writer has one write under way at a time and raises `n` with each; its last write, sent again, is answered with its first seq and done once.
   * Rejects with the refusal `overloaded` where Redis cannot be reached: then it is unknown whether the write was done, and the same write may be sent again.
   */
  publish(id: string, events: readonly JobEvent[], writer: Writer): Promise<Written | Refused>
}

/** Signs of life of a job, by the writer that computes it. */
export interface Heartbeats {
  /**
   * Looks after a job that this writer computes: fenced as a write is, and writes no entry. `alive`: its processor gave a sign of life, as every write is
   * one. The answer's `seq` is that of the job. May be sent again; rejects as `publish` does.
   */
  heartbeat(id: string, writer: Writer, alive: boolean): Promise<Written | Refused>
}

/** What a reader gets: the state, and, where `since` was asked for and the log provably reaches back, exactly what was missed. */
export interface Reading {
  readonly state: JobState
  /** Durable entries after `since`, and the latest tick per key after it, in seq order. Absent: not asked for, or lost. */
  readonly missed?: readonly Entry[]
}

export interface BrokerListener {
  /** An entry of a subscribed job. In seq order per job as long as nothing is lost. */
  entry(entry: Entry): void
  /** Entries of this job may have been missed (the connection was gone): read it again. */
  gap(id: string): void
}

/**
 * Publish and subscribe on jobs. Delivery is at most once and in order; together with `read`, which sees every entry that was published
 * before it was called, a reader can prove that it has missed nothing.
 */
export interface Broker extends Publisher {
  listen(listener: BrokerListener): void
  /** Resolves once the subscription stands: every entry published from then on is delivered. */
  subscribe(id: string): Promise<void>
  unsubscribe(id: string): Promise<void>
  /** The state of a job, or null. Rejects with the refusal `overloaded` where Redis cannot be reached, `not_found` for a job of a kind that only other processes know. */
  read(id: string, since?: Position): Promise<Reading | null>
  /** Whether reads, writes and subscriptions work now: a real round trip through the channel. */
  ready(): Promise<boolean>
  close(): Promise<void>
}

export interface BrokerLimits {
  /** Largest message, in bytes of JSON. */
  readonly maxEventBytes: number
  /** Most durable entries that a job's log keeps (trimmed in blocks, so some more may stay). */
  readonly maxLogEntries: number
  /** Most conflation keys of a job. */
  readonly maxKeys: number
  /** Most entries that a client can have missed and still resume. */
  readonly maxMissedEntries: number
  /** A job that is computed and silent for so long is stale. */
  readonly staleMs: number
  readonly activeTtlMs: number
  readonly finalTtlMs: number
  /** How long a part of a job is kept once the whole has taken it in. */
  readonly evaluationTtlMs: number
}

export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  maxEventBytes: 256 * 1024,
  maxLogEntries: 10_000,
  maxKeys: 1024,
  maxMissedEntries: 1000,
  staleMs: 30_000,
  activeTtlMs: 7 * 24 * 3600 * 1000,
  finalTtlMs: 24 * 3600 * 1000,
  evaluationTtlMs: 600_000,
}
