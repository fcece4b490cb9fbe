import { ARCHIVE_LIMIT } from './archive.js'
import { hypervolume } from './hypervolume.js'
import type { Individual, Member } from './problem.js'

/** The price of a hypervolume multiplies with each objective: beyond these it is not measured. */
const MOST_OBJECTIVES = 5

/** A generation grows the front if its hypervolume rises by this share at least. */
const LEAST_GAIN = 1e-4

/** After as many generations in a row without growth a search has reached its plateau. */
const PATIENCE = 10

/** How the front grows, generation by generation. */
export interface Growth {
  /** The point that hypervolume is measured from, fixed when there first is a front. */
  readonly reference: readonly number[] | null
  readonly hypervolume: number | null
  /** Generations in a row, up to the last, that did not grow the front. */
  readonly idle: number
}

/** Before the first generation. */
export const NO_GROWTH: Growth = { reference: null, hypervolume: null, idle: 0 }

/**
 * The growth after one more generation. Its hypervolume never falls, unless the archive is full and had to let a member go. Of more than five
 * objectives there is none, and no plateau.
 */
export function grow(before: Growth, evaluated: readonly Individual[], archive: readonly Member[]): Growth {
  const objectives = archive[0]?.objectives.length ?? 0
  if (objectives === 0 || objectives > MOST_OBJECTIVES) return before
  const reference = before.reference ?? referenceOf(evaluated)
  const measured = hypervolume(
    archive.map(({ objectives }) => objectives),
    reference,
  )
  // Values near the end of what a number can hold have no volume that one can.
  if (!Number.isFinite(measured)) return { reference, hypervolume: null, idle: 0 }
  const previous = before.hypervolume
  // Below the limit nobody was let go, and less than before can only be rounding.
  const volume = previous !== null && archive.length < ARCHIVE_LIMIT ? Math.max(measured, previous) : measured
  const isIdle = previous !== null && volume - previous < LEAST_GAIN * previous
  return { reference, hypervolume: volume, idle: isIdle ? before.idle + 1 : 0 }
}

/** Whether a search may end for want of growth. */
export function isPlateau({ idle }: Growth): boolean {
  return idle >= PATIENCE
}

/** In each objective the worst value of these points plus a tenth of their range, so that the extremes of a front count as well. */
function referenceOf(evaluated: readonly Individual[]): number[] {
  const points = evaluated.flatMap(({ objectives }) => (objectives ? [objectives] : []))
  return [...(points[0] ?? []).keys()].map((k) => {
    const values = points.map((point) => point[k] ?? Number.NaN)
    const [best, worst] = [Math.min(...values), Math.max(...values)]
    const margin = (worst - best) / 10
    // Of one value, or of values that are all but the same, there is no range.
    return worst + margin > worst ? worst + margin : worst + (Math.abs(worst) || 1) / 10
  })
}
