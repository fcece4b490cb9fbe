import type { MetricPoint } from './metric-point.js'
import { SeriesFold } from './series.js'

/** What x is: the `step` of the reports, or the seconds since the start of the attempt. */
export type SeriesX = 'step' | 'seconds'

/** The next points of a metric, to be folded into its curve. `body`: the message about them, without its position. */
export interface SeriesTelemetry {
  readonly reducer: 'series'
  readonly name: string
  readonly unit: string
  readonly x: SeriesX
  /** Points per bucket at least. */
  readonly k: number
  /** Buckets as little-endian doubles. */
  readonly bytes: Uint8Array
  readonly body: Readonly<Record<string, unknown>>
}

/** The points of a fold as a report. `newest`: the last of them. */
export function seriesTelemetry({ name, unit, value, step }: MetricPoint, x: SeriesX, fold: SeriesFold): SeriesTelemetry {
  const points = fold.points()
  const body = {
    ...{ metric_name: name, unit, x, value },
    ...(step !== null && { step }),
    ...(points ? { points } : { buckets: fold.buckets() }),
  }
  return { reducer: 'series', name, unit, x, k: fold.k, bytes: fold.bytes(), body }
}

/** A single point as a report. `seconds`: its x, unless it has a step. */
export function pointTelemetry(point: MetricPoint, seconds: number): SeriesTelemetry {
  const fold = new SeriesFold()
  fold.add(point.step ?? seconds, point.value)
  return seriesTelemetry(point, point.step === null ? 'seconds' : 'step', fold)
}
