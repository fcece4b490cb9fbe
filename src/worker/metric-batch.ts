import type { MetricPoint } from '../core/metric-point.js'
import { MAX_PART_BUCKETS, SeriesFold } from '../core/series.js'
import { type SeriesTelemetry, type SeriesX, seriesTelemetry } from '../core/series-telemetry.js'

/** The points of one metric that wait to be sent together. */
export class MetricBatch {
  readonly #fold: SeriesFold
  readonly #x: SeriesX
  #newest: MetricPoint

  /** `start`: points of the metric that were sent in this attempt. */
  constructor(start: number, point: MetricPoint, seconds: number) {
    this.#fold = new SeriesFold({ start, maxBuckets: MAX_PART_BUCKETS })
    this.#x = point.step === null ? 'seconds' : 'step'
    this.#newest = point
    this.add(point, seconds)
  }

  /** `seconds`: since the start of the attempt; the x of a point without a step. */
  add(point: MetricPoint, seconds: number): void {
    this.#fold.add(point.step ?? seconds, point.value)
    this.#newest = point
  }

  /** The last point. */
  get newest(): MetricPoint {
    return this.#newest
  }

  /** Points of the metric in this attempt, with these. */
  get n(): number {
    return this.#fold.n
  }

  get telemetry(): SeriesTelemetry {
    return seriesTelemetry(this.#newest, this.#x, this.#fold)
  }
}
