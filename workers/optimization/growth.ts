import { ARCHIVE_LIMIT } from './archive.js'
import { hypervolume } from './hypervolume.js'
import type { Individual, Member } from './problem.js'

/** The cost of a hypervolume multiplies with each objective. With more objectives than this it is not measured. */
const MOST_OBJECTIVES = 5

/** A generation grows the front if its hypervolume rises by at least this share. */
const LEAST_GAIN = 1e-4

/** Consecutive generations without growth after which a search has reached its plateau. */
const PATIENCE = 10

/** Growth of the front, generation by generation. */
export interface Growth {
  /** Reference point of the hypervolume, fixed when the first front exists. */
  readonly reference: readonly number[] | null
  readonly hypervolume: number | null
  /** Consecutive generations, up to the last one, that did not grow the front. */
  readonly idle: number
}

/** Before the first generation. */
export const NO_GROWTH: Growth = { reference: null, hypervolume: null, idle: 0 }

/**
 * The growth after one more generation. Its hypervolume never falls, unless the archive is full and had to drop a
 * member. With more than five objectives there is neither growth nor plateau.
 */
export function grow(before: Growth, evaluated: readonly Individual[], archive: readonly Member[]): Growth {
  const objectives = archive[0]?.objectives.length ?? 0
  if (objectives === 0 || objectives > MOST_OBJECTIVES) return before
  const reference = before.reference ?? referenceOf(evaluated)
  const measured = hypervolume(
    archive.map(({ objectives }) => objectives),
    reference,
  )
  // Values near the largest representable number have no representable volume.
  if (!Number.isFinite(measured)) return { reference, hypervolume: null, idle: 0 }
  const previous = before.hypervolume
  // Below the limit no member was dropped, so a smaller value can only be a rounding error.
  const volume = previous !== null && archive.length < ARCHIVE_LIMIT ? Math.max(measured, previous) : measured
  const isIdle = previous !== null && volume - previous < LEAST_GAIN * previous
  return { reference, hypervolume: volume, idle: isIdle ? before.idle + 1 : 0 }
}

/** Whether a search may end because the front has ceased to grow. */
export function isPlateau({ idle }: Growth): boolean {
  return idle >= PATIENCE
}

/**
 * In each objective the worst value of these points plus a tenth of their range, so that the extremes of a front count
 * as well.
 */
function referenceOf(evaluated: readonly Individual[]): number[] {
  const points = evaluated.flatMap(({ objectives }) => (objectives ? [objectives] : []))
  return [...(points[0] ?? []).keys()].map((k) => {
    const values = points.map((point) => point[k] ?? Number.NaN)
    const [best, worst] = [Math.min(...values), Math.max(...values)]
    const margin = (worst - best) / 10
    // One value, or nearly equal values, have no range.
    return worst + margin > worst ? worst + margin : worst + (Math.abs(worst) || 1) / 10
  })
}
