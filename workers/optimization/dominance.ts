import type { Individual } from './problem.js'

/** Whether a point is at least as good in every objective: it dominates the other one, or is equal to it. */
export function weaklyDominates(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) if ((a[i] ?? 0) > (b[i] ?? 0)) return false
  return true
}

/**
 * Constrained domination (Deb, Pratap, Agarwal and Meyarivan 2002, section VI): a feasible point dominates an
 * infeasible one, a smaller violation a greater one, and a feasible point another one if it is no worse in any
 * objective and better in one. A point with an unknown violation comes last.
 */
export function dominates(a: Individual, b: Individual): boolean {
  if (a.violation === null) return false
  if (b.violation === null) return true
  if (a.violation !== b.violation) return a.violation < b.violation
  if (a.violation > 0 || !a.objectives || !b.objectives) return false
  return weaklyDominates(a.objectives, b.objectives) && !weaklyDominates(b.objectives, a.objectives)
}

/**
 * Fast non-dominated sort (the same, section III-A). The first front is dominated by no point, each further one only by
 * points of earlier fronts. A front keeps the given order. n²/2 comparisons.
 */
export function nonDominatedFronts<T extends Individual>(individuals: readonly T[]): T[][] {
  const dominated = individuals.map((): number[] => [])
  const dominators = individuals.map(() => 0)
  const note = (better: number, worse: number) => {
    dominated[better]?.push(worse)
    dominators[worse] = (dominators[worse] ?? 0) + 1
  }
  for (const [i, a] of individuals.entries()) {
    for (let j = i + 1; j < individuals.length; j++) {
      const b = individuals[j]
      if (b && dominates(a, b)) note(i, j)
      else if (b && dominates(b, a)) note(j, i)
    }
  }
  const fronts: T[][] = []
  let front = [...individuals.keys()].filter((i) => dominators[i] === 0)
  while (front.length > 0) {
    fronts.push(front.flatMap((i) => individuals[i] ?? []))
    const next: number[] = []
    for (const j of front.flatMap((i) => dominated[i] ?? [])) {
      dominators[j] = (dominators[j] ?? 0) - 1
      if (dominators[j] === 0) next.push(j)
    }
    front = next.sort((a, b) => a - b)
  }
  return fronts
}
