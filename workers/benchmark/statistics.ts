import type { Distribution } from '../../src/kinds/benchmark/result.js'

/** Minimum values for a percentile: with fewer values it would only be the maximum. */
const NEEDED = { p90: 10, p95: 20, p99: 100 } as const

/**
 * Percentile by linear interpolation between ranks (Hyndman and Fan 1996, type 7). `p` is 0 to 100, `sorted` ascending
 * and not empty.
 */
export function percentile(sorted: readonly number[], p: number): number {
  const rank = ((sorted.length - 1) * p) / 100
  const below = sorted[Math.floor(rank)] ?? Number.NaN
  const above = sorted[Math.ceil(rank)] ?? Number.NaN
  return below + (above - below) * (rank - Math.floor(rank))
}

/** Statistics of these values, or null without values. */
export function distributionOf(values: readonly number[]): Distribution | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const n = sorted.length
  const at = (p: number) => rounded(percentile(sorted, p))
  return {
    n,
    mean: rounded(sorted.reduce((sum, value) => sum + value, 0) / n),
    min: at(0),
    p50: at(50),
    ...(n >= NEEDED.p90 && { p90: at(90) }),
    ...(n >= NEEDED.p95 && { p95: at(95) }),
    ...(n >= NEEDED.p99 && { p99: at(99) }),
    max: at(100),
  }
}

/** To a thousandth: no clock here is more precise. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** An amount of money to a billionth, so that no price of a token is lost. */
export function roundedCost(value: number): number {
  return Math.round(value * 1e9) / 1e9
}

/** Total length covered by these intervals, in their unit. Overlaps count once. */
export function covered(intervals: readonly { readonly from: number; readonly to: number }[]): number {
  let length = 0
  let end = Number.NEGATIVE_INFINITY
  for (const { from, to } of [...intervals].sort((a, b) => a.from - b.from)) {
    length += Math.max(0, to - Math.max(from, end))
    end = Math.max(end, to)
  }
  return length
}
