import type { Entry, JobEvent, Position, Writer } from '../core/entry.js'
import type { JobBrief, JobState } from '../core/job-state.js'
import type { Telemetry } from '../core/telemetry.js'
import type { Status } from '../protocol/status.js'

/**
 * Why a write was rejected. `final`: the execution has ended. `stale_writer`: another worker has taken over.
 * `transition`: the state machine has no such transition.
 */
export type WriteRejection =
  | 'unknown_job'
  | 'stale_round'
  | 'stale_writer'
  | 'stale_write'
  | 'final'
  | 'transition'
  | 'too_many_keys'
  | 'too_many_series'
  | 'too_big'
  | 'stale_checkpoint'

/**
 * `seq`: position of the last event written. `status`: state of the job after the write; `cancelling` tells the writer
 * to stop.
 */
export type Written = { readonly ok: true; readonly seq: number; readonly status: Status }
export type Rejected = {
  readonly ok: false
  readonly reason: WriteRejection
  readonly status: Status | null
  /** For people: names the event, its value and the limit. Present if the reason concerns the content of the write. */
  readonly text?: string
  /** Index of the event that was rejected, if the reason concerns a single one. */
  readonly index?: number
}

/** Result for an event whose message exceeds `maxEventBytes`. `bytes`: size of its JSON as stored, without `seq`. */
export function tooBig(events: readonly JobEvent[], index: number, bytes: number, { maxEventBytes }: BrokerLimits): Rejected {
  const event = events[index]
  const name = event?.class === 'final' ? event.to : event?.key.split(':', 1)[0]
  return { ok: false, reason: 'too_big', status: null, text: textOfTooBig(`${name}`, bytes, maxEventBytes), index }
}

export function textOfTooBig(name: string, bytes: number, maxEventBytes: number): string {
  return `${name}: message of ${bytes} bytes exceeds MAX_EVENT_BYTES (${maxEventBytes})`
}

/** Result for events with new keys when the job already has the maximum number of keys. */
export function tooManyKeys(events: readonly JobEvent[], status: Status | null, { maxKeys }: BrokerLimits): Rejected {
  const names = events.flatMap(({ message }) => ('metric_name' in message ? [`metric ${JSON.stringify(message.metric_name)}`] : []))
  const text = `${names.at(-1) ?? 'event'}: one more metric or other key exceeds MAX_KEYS (${maxKeys})`
  return { ok: false, reason: 'too_many_keys', status, text }
}

/** Result for points of a metric without an entry and without a curve, when the job has the maximum of curves. */
export function tooManySeries(telemetry: readonly Telemetry[], status: Status | null, { maxSeries }: BrokerLimits): Rejected {
  const names = telemetry.flatMap((report) => (report.reducer === 'series' ? [`metric ${JSON.stringify(report.name)}`] : []))
  return { ok: false, reason: 'too_many_series', status, text: `${names.at(-1)}: one more metric exceeds MAX_SERIES (${maxSeries})` }
}

export interface Publisher {
  /**
   * Assigns positions to events and publishes them in one atomic operation, all or none. It updates the latest entry
   * per key, the log and the channel.
   * A writer has at most one write in progress and increments `n` with each. If the writer sends its last write again,
   * the result is the seq of the first time; the write is applied once. Exception: processes that end the execution of
   * a lost worker share one `n` (`fencingWriter`), so all but the first are rejected with `final`.
   * Rejects with `overloaded` if Redis cannot be reached. Whether the write was applied is then unknown, and the same
   * write may be sent again.
   * `telemetry` is a part of the write: it is added once, or not at all. It belongs to the attempt before the events.
   */
  publish(id: string, events: readonly JobEvent[], writer: Writer, telemetry?: readonly Telemetry[]): Promise<Written | Rejected>
}

/** Heartbeats of a job, sent by the writer that computes it. */
export interface Heartbeats {
  /**
   * Confirms that this writer still has the job. It is fenced like a write and writes no entry. `alive`: the processor
   * gave a sign of life; every write counts as one. `seq` of the result is the current seq of the job. May be sent
   * again; rejects as `publish` does.
   */
  heartbeat(id: string, writer: Writer, alive: boolean): Promise<Written | Rejected>
}

/**
 * Result of a read: the state and, if `since` was given and the log provably reaches back to it, exactly what was
 * missed.
 */
export interface Reading {
  readonly state: JobState
  /**
   * Persisted entries after `since` and the latest transient entry per key after it, in seq order. Absent if `since`
   * was not given, or if entries were lost.
   */
  readonly missed?: readonly Entry[]
}

export interface BrokerListener {
  /** Receives an entry of a subscribed job. In seq order per job as long as nothing is lost. */
  entry(entry: Entry): void
  /** Entries of this job may have been missed because the connection was lost: read the job again. */
  gap(id: string): void
}

/**
 * Publish and subscribe for jobs. Delivery is at most once and in order. `read` sees every entry that was published
 * before the call, so a reader that combines both can prove that it has missed nothing.
 */
export interface Broker extends Publisher {
  listen(listener: BrokerListener): void
  /** Resolves once the subscription is active: every entry published from then on is delivered. */
  subscribe(id: string): Promise<void>
  unsubscribe(id: string): Promise<void>
  /**
   * Resolves to the state of a job, or null if there is no such job. Rejects with `overloaded` if Redis cannot be
   * reached, and with `not_found` if this process does not know the kind of the job.
   */
  read(id: string, since?: Position): Promise<Reading | null>
  /** The same for lists: the state without its input, which may be large. */
  readBrief(id: string): Promise<JobBrief | null>
  /** Whether reads, writes and subscriptions work now. Verified by a real round trip through the channel. */
  ready(): Promise<boolean>
  close(): Promise<void>
}

export interface BrokerLimits {
  /** Maximum size of a message, in bytes of JSON. */
  readonly maxEventBytes: number
  /**
   * Maximum number of persisted entries in the log of a job. Redis trims the log in blocks, so a few more may remain.
   * As many of the older entries are kept, without those of metrics.
   */
  readonly maxLogEntries: number
  /** Maximum log lines of a job, and their bytes. */
  readonly maxLogLines: number
  readonly maxLogBytes: number
  /** Maximum number of metrics of a job that have a curve, and the memory of these curves in bytes. */
  readonly maxSeries: number
  readonly maxSeriesBytes: number
  /** Maximum number of conflation keys of a job. */
  readonly maxKeys: number
  /** Maximum number of entries that a client can have missed and still resume. */
  readonly maxMissedEntries: number
  /** Maximum number of jobs of one kind in the lists of a user. */
  readonly maxListed: number
  /** A running job is stale after this time without a sign of life. */
  readonly staleMs: number
  readonly activeTtlMs: number
  readonly finalTtlMs: number
  /** How long a child job is kept after its parent has used its result. */
  readonly childTtlMs: number
}

export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  maxEventBytes: 256 * 1024,
  maxLogEntries: 10_000,
  maxLogLines: 5000,
  maxLogBytes: 1024 * 1024,
  maxSeries: 64,
  maxSeriesBytes: 1024 * 1024,
  maxKeys: 1024,
  maxMissedEntries: 1000,
  maxListed: 10_000,
  staleMs: 30_000,
  activeTtlMs: 7 * 24 * 3600 * 1000,
  finalTtlMs: 24 * 3600 * 1000,
  childTtlMs: 600_000,
}
