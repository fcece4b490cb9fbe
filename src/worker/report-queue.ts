import type { JobEvent } from '../core/entry.js'
import type { MetricPoint } from '../core/metric-point.js'
import type { SeriesTelemetry } from '../core/series-telemetry.js'
import { type Deferred, deferred } from './deferred.js'
import { MetricBatch } from './metric-batch.js'

const TRANSIENT_INTERVAL_MS = 100
const BATCH = 64
/** No report is added to a batch with so many bytes of points, so that no write occupies Redis for long. */
const BATCH_POINT_BYTES = 64 * 1024
/** There is no room from this number of waiting reports on. */
const HIGH_WATER = 256
/** The answer while there is room. */
const ROOM = Promise.resolve()

/** What one write has of a report: an entry, points of a curve, or both. */
export interface Report {
  readonly event: JobEvent | null
  readonly points: SeriesTelemetry | null
}

/** A point of a metric. `seconds`: since the start of the attempt. `eventOf`: the entry about a point, if any. */
export interface MetricReport {
  readonly point: MetricPoint
  readonly seconds: number
  readonly eventOf: (point: MetricPoint) => JobEvent | null
}

interface WaitingPoints {
  readonly batch: MetricBatch
  readonly eventOf: MetricReport['eventOf']
}

/** What was sent of a metric in this attempt. */
interface Sent {
  readonly n: number
  readonly at: number
}

/**
 * Reports that wait to be written, in order of sending. Transient events are conflated per key (the last one wins, at
 * most 10 per second); all persisted events are kept. Points of a metric that wait are sent together, at most once per
 * `metricIntervalMs`; the first one at once.
 */
export class ReportQueue {
  readonly #metricIntervalMs: number
  /** The key of a transient event or a metric, or a number for a persisted event. */
  readonly #waiting = new Map<string | number, JobEvent | WaitingPoints>()
  readonly #sent = new Map<string, Sent>()
  #counter = 0
  #lastTransientAt = Number.NEGATIVE_INFINITY
  /** Callers that wait for room. */
  #room: Deferred | undefined

  /** `sent`: points of each metric that earlier workers have sent in this attempt. */
  constructor(metricIntervalMs = TRANSIENT_INTERVAL_MS, sent: ReadonlyMap<string, number> = new Map()) {
    this.#metricIntervalMs = metricIntervalMs
    for (const [name, n] of sent) this.#sent.set(name, { n, at: Number.NEGATIVE_INFINITY })
  }

  get size(): number {
    return this.#waiting.size
  }

  /** When the first report is due, in ms from now; infinite if none waits. */
  get dueInMs(): number {
    let dueAt = Number.POSITIVE_INFINITY
    for (const report of this.#waiting.values()) dueAt = Math.min(dueAt, this.#dueAt(report))
    return Math.max(dueAt - performance.now(), 0)
  }

  /** Returns whether the event replaces a waiting transient event. */
  add(event: JobEvent): boolean {
    const isCoalesced = event.class === 'transient' && this.#waiting.delete(event.key)
    this.#waiting.set(event.class === 'transient' ? event.key : this.#counter++, event)
    return isCoalesced
  }

  /** Returns whether earlier points of the metric wait. Throws if the entry cannot be built. */
  addPoint({ point, seconds, eventOf }: MetricReport): boolean {
    const { name } = point
    // Without an interval each point is a report of its own.
    const key = this.#metricIntervalMs > 0 ? `point ${name}` : this.#counter++
    const waiting = this.#waiting.get(key)
    if (waiting && 'batch' in waiting) {
      waiting.batch.add(point, seconds)
      return true
    }
    eventOf(point)
    this.#waiting.set(key, { batch: new MetricBatch(this.#sent.get(name)?.n ?? 0, point, seconds), eventOf })
    return false
  }

  /**
   * The next reports in order. A transient event or a metric that comes too soon after the last one stays until it is
   * due.
   */
  takeBatch(): Report[] {
    const now = performance.now()
    const reports: Report[] = []
    let isTransientSent = false
    let bytes = 0
    for (const [key, waiting] of this.#waiting) {
      if (reports.length === BATCH || bytes >= BATCH_POINT_BYTES) break
      if (this.#dueAt(waiting) > now) continue
      this.#waiting.delete(key)
      if ('batch' in waiting) {
        const { newest, n, telemetry } = waiting.batch
        this.#sent.set(newest.name, { n, at: now })
        reports.push({ event: waiting.eventOf(newest), points: telemetry })
        bytes += telemetry.bytes.length
      } else {
        isTransientSent ||= waiting.class === 'transient'
        reports.push({ event: waiting, points: null })
      }
    }
    if (isTransientSent) this.#lastTransientAt = now
    return reports
  }

  /** Makes every transient event and every metric due now. */
  flushNow(): void {
    this.#lastTransientAt = Number.NEGATIVE_INFINITY
    this.flushMetrics()
  }

  /** Makes every metric due now. */
  flushMetrics(): void {
    for (const [name, { n }] of this.#sent) this.#sent.set(name, { n, at: Number.NEGATIVE_INFINITY })
  }

  /** Resolves when there is room for more, or `release` is called. Rejects with the reason of `clear`. */
  room(): Promise<void> {
    if (this.#waiting.size < HIGH_WATER) return ROOM
    this.#room ??= deferred()
    return this.#room.promise
  }

  /** Call this when a batch was written. */
  written(): void {
    if (this.#waiting.size < HIGH_WATER) this.release()
  }

  /** Resolves the promises of callers that wait for room. */
  release(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  /** Drops all waiting reports. */
  clear(why: Error): void {
    this.#waiting.clear()
    this.#room?.reject(why)
    this.#room = undefined
  }

  /** When a waiting report is due, by `performance.now`. */
  #dueAt(waiting: JobEvent | WaitingPoints): number {
    if ('batch' in waiting) return (this.#sent.get(waiting.batch.newest.name)?.at ?? Number.NEGATIVE_INFINITY) + this.#metricIntervalMs
    return waiting.class === 'transient' ? this.#lastTransientAt + TRANSIENT_INTERVAL_MS : Number.NEGATIVE_INFINITY
  }
}
