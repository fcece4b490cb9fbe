import type { JobState } from '../../src/core/job-state.js'
import { bucketsOf, SeriesFold } from '../../src/core/series.js'
import type { SeriesTelemetry, SeriesX } from '../../src/core/series-telemetry.js'
import type { BrokerLimits } from '../../src/storage/broker.js'
import { attemptEpoch, type PointsAdded, type SeriesReading, type StoredSeries } from '../../src/storage/telemetry.js'

interface Curve {
  readonly name: string
  unit: string
  readonly x: SeriesX
  readonly fold: SeriesFold
}

/** Memory of a bucket that the store on Redis reckons with. */
const BUCKET_BYTES = 64

/** The curves of a job in memory, with the guarantees of those in Redis. */
export class MemorySeries {
  #attempt = ''
  #curves = new Map<string, Curve>()

  /** Whether there is a curve for each of these metrics, or room for it. */
  hasRoom(state: JobState, names: readonly string[], { maxSeries }: BrokerLimits): boolean {
    const known = this.#of(state)
    const fresh = new Set(names.filter((name) => !known.has(name)))
    return fresh.size === 0 || known.size + fresh.size <= maxSeries
  }

  /** Folds the points, and returns the increments; none if there is no room for another curve. */
  reduce(state: JobState, report: SeriesTelemetry, { maxSeries, maxSeriesBytes }: BrokerLimits): PointsAdded[] {
    const curves = this.#of(state)
    this.#attempt = attemptOf(state)
    this.#curves = curves
    const { name, unit, x, k, bytes, body } = report
    if (!curves.has(name) && curves.size >= maxSeries) return []
    const curve = curves.get(name) ?? { name, unit, x, fold: new SeriesFold() }
    curve.unit = unit
    curves.set(name, curve)
    const from = curve.fold.n
    const buckets = bucketsOf(bytes)
    const n = from + buckets.reduce((sum, [, , , , , , count]) => sum + count, 0)
    curve.fold.fold({ from, n, k, buckets })
    const others = this.#shrink(Math.floor(maxSeriesBytes / BUCKET_BYTES), maxSeries).filter((other) => other !== curve)
    const added = (curve: Curve, from: number, body: object): PointsAdded => {
      const position = { from, n: curve.fold.n, k: curve.fold.k }
      const text = JSON.stringify({ ...body, ...position })
      return { reducer: 'series', id: state.id, epoch: epochOf(state), name: curve.name, ...position, body: Buffer.from(text) }
    }
    const headOf = ({ name, unit, x }: Curve) => ({ metric_name: name, unit, x })
    return [added(curve, from, body), ...others.map((other) => added(other, other.fold.n, headOf(other)))]
  }

  read(state: JobState, name: string | null, from: number): SeriesReading {
    const { owner, seq } = state
    const stored = ({ name, unit, x, fold }: Curve, part: { from: number; bytes: Uint8Array }): StoredSeries => {
      return { name, unit, x, n: fold.n, k: fold.k, size: fold.size, ...part }
    }
    const all = [...this.#of(state).values()]
    const series =
      name === null
        ? all.map((curve) => stored(curve, { from: curve.fold.n, bytes: new Uint8Array() }))
        : all.flatMap((curve) => (curve.name === name ? [stored(curve, partOf(curve.fold, from))] : []))
    return { owner, seq, epoch: epochOf(state), series }
  }

  #of(state: JobState): Map<string, Curve> {
    return this.#attempt === attemptOf(state) ? this.#curves : new Map()
  }

  #shrink(maxBuckets: number, maxSeries: number): Curve[] {
    const shrunk = new Set<Curve>()
    const share = Math.floor(maxBuckets / maxSeries)
    const total = () => [...this.#curves.values()].reduce((sum, { fold }) => sum + fold.size, 0)
    while (total() > maxBuckets) {
      const large = [...this.#curves.values()].filter(({ fold }) => fold.size > share && fold.size > 1)
      for (const curve of large) {
        curve.fold.raise(2 * curve.fold.k)
        shrunk.add(curve)
      }
      if (large.length === 0) break
    }
    return [...shrunk]
  }
}

function partOf(fold: SeriesFold, after: number): { from: number; bytes: Uint8Array } {
  const { from, buckets } = fold.part(after)
  return { from, bytes: new Uint8Array(Float64Array.from(buckets.flat()).buffer) }
}

function attemptOf({ round, attempt }: JobState): string {
  return `${round} ${attempt}`
}

function epochOf({ generation, round, attempt }: JobState): string {
  return attemptEpoch(generation, round, attempt)
}
