import type { HornInput } from '../src/kinds/run/input.js'

/** What a job reports: points of each metric, and how many of them a second. */
export interface Load {
  readonly metrics: number
  readonly points: number
  readonly rate: number
}

/** An input of runs that stands for this load. */
export function inputOf({ metrics, points, rate }: Load): object {
  const sizes = { width_mm: metrics, height_mm: points / 10_000, thickness_mm: rate / 1000 }
  return { material: 'ti-6al-4v', profile: 'uniform', ...sizes }
}

export function loadOf({ width_mm, height_mm, thickness_mm }: HornInput): Load {
  return { metrics: width_mm, points: Math.round(height_mm * 10_000), rate: thickness_mm * 1000 }
}

/** The value of a point: no two buckets have the same extremes. */
export function valueAt(i: number): number {
  return Math.sin(i / 777) * i + (i % 13)
}
