import type { Bytes } from '../core/entry.js'
import type { SeriesX } from '../core/series-telemetry.js'
import type { Status } from '../protocol/status.js'
import type { ArtifactRecord } from './artifact-records.js'

/** An increment of the log of a job, as its channel delivers it. */
export interface LinesAdded {
  readonly reducer: 'append'
  readonly id: string
  /** Names the log that the numbers count in. Another epoch is another log. */
  readonly epoch: string
  /** Number of the first line. Lines before it that no increment contains were left out by their writer. */
  readonly first: number
  readonly count: number
  /** The lines as a JSON array. */
  readonly body: Bytes
}

/** An increment of the curve of a metric, as its channel delivers it. */
export interface PointsAdded {
  readonly reducer: 'series'
  readonly id: string
  /** Names the attempt that the points belong to. Another epoch is another curve. */
  readonly epoch: string
  readonly name: string
  /** Points before the increment, and with it. */
  readonly from: number
  readonly n: number
  /** Points per bucket of the whole curve. */
  readonly k: number
  /** The increment as a JSON object: `metric_name`, `unit`, `x`, `value`, `points` or `buckets`, `from`, `n`, `k`. */
  readonly body: Bytes
}

/** An artifact that was stored, as its channel delivers it. */
export interface ArtifactAdded {
  readonly reducer: 'artifact'
  readonly id: string
  /** Names the attempt that it belongs to. Another epoch is another list. */
  readonly epoch: string
  readonly artifact: ArtifactRecord
}

export type TelemetryAdded = LinesAdded | PointsAdded | ArtifactAdded

export interface TelemetryListener {
  /** Receives an increment of a subscribed job. In order per job as long as nothing is lost. */
  added(increment: TelemetryAdded): void
  /** Increments of this job may have been missed: read what is needed again. */
  gap(id: string): void
}

/** Which lines to read: the first ones after a number, else the newest ones before a number or at all. */
export interface LinesQuery {
  readonly limit: number
  readonly maxBytes: number
  readonly after?: number | undefined
  readonly before?: number | undefined
}

/** Consecutive lines of the log of a job, with what was known of the job at that moment. */
export interface LinesPage {
  readonly owner: string
  readonly status: Status
  /** Names the log that the numbers count in. */
  readonly epoch: string
  /** Number of the oldest line that is kept; `last` + 1 if there is none. */
  readonly oldest: number
  /** Number of the newest line; 0 before the first one. */
  readonly last: number
  /** Number of the first line of the page. Without lines: of the next one to come, or `oldest` with `before`. */
  readonly first: number
  /** The JSON of a `LogLine` each. */
  readonly lines: readonly Bytes[]
}

/** The curve of a metric. */
export interface StoredSeries {
  readonly name: string
  readonly unit: string
  readonly x: SeriesX
  /** Number of points. */
  readonly n: number
  /** Points per bucket. */
  readonly k: number
  /** Number of buckets. */
  readonly size: number
  /** Points before the buckets that were read. */
  readonly from: number
  /** The buckets that were read, as little-endian doubles (`bucketsOf`). */
  readonly bytes: Uint8Array
}

/** Curves of the current attempt of a job, with what was known of the job at that moment. */
export interface SeriesReading {
  readonly owner: string
  /** Position of the job. */
  readonly seq: number
  /** Names the attempt that the points belong to. */
  readonly epoch: string
  readonly series: readonly StoredSeries[]
}

/** The artifacts of the current attempt of a job, with what was known of the job at that moment. */
export interface ArtifactsReading {
  readonly owner: string
  /** Names the attempt that they belong to. */
  readonly epoch: string
  /** In the order in which they were stored. The last one has the largest `n`. */
  readonly artifacts: readonly ArtifactRecord[]
}

/**
 * What jobs report beside entries. It is written by `Publisher.publish`, artifacts by `ArtifactRecords.commit`. The
 * log is that of the current execution, over all its attempts; a job that has the id of an earlier one never shows the
 * log of that one. Numbers of lines rise by 1 from 1 and have no gap in what is stored. Delivery on the channel is at
 * most once and in order. A read sees every line that was written before the call. Each method rejects with
 * `overloaded` if Redis cannot be reached.
 */
export interface TelemetryStore {
  listen(listener: TelemetryListener): void
  /** Resolves once the subscription is active: every increment from then on is delivered. */
  subscribe(id: string): Promise<void>
  unsubscribe(id: string): Promise<void>
  /** At most `limit` lines and `maxBytes`, but at least one line if there is one. Null if there is no such job. */
  lines(id: string, query: LinesQuery): Promise<LinesPage | null>
  /** All curves without their buckets, in the order in which they began. Null if there is no such job. */
  allSeries(id: string): Promise<SeriesReading | null>
  /**
   * The curve of a metric, with the buckets that contain points after the first `from` ones; no curve if the metric has
   * none. Null if there is no such job.
   */
  series(id: string, name: string, from?: number): Promise<SeriesReading | null>
  /** Null if there is no such job. */
  artifacts(id: string): Promise<ArtifactsReading | null>
}

/**
 * The epoch of the curves and artifacts of an attempt. `generation`: of the history in which the last of them was
 * written.
 */
export function attemptEpoch(generation: string, round: number | string, attempt: number | string): string {
  return `${generation}.${round}.${attempt}`
}

/** The execution of an epoch. After a restart of Redis one execution may have several. */
export function roundOf(epoch: string): number {
  return Number(epoch.split('.')[1])
}

/** The epoch of the log of an execution. `generation`: of the history in which its last line was written. */
export function logEpoch(generation: string, round: number | string): string {
  return `${generation}.${round}`
}
