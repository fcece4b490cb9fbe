import type { Member } from './problem.js'

/**
 * The member to show if only one is shown. With one objective it is the best one. With more it is the nearest to the
 * ideal point, which has the best value of each objective over the front; each objective is scaled by the front's
 * range. Of equal ones the first. Undefined for an empty front.
 */
export function compromise(front: readonly Member[]): Member | undefined {
  const ranges = [...(front[0]?.objectives ?? []).keys()].map((k) => {
    const values = front.map(({ objectives }) => objectives[k] ?? Number.NaN)
    return { best: Math.min(...values), worst: Math.max(...values) }
  })
  const distance = ({ objectives }: Member) =>
    Math.hypot(...ranges.map(({ best, worst }, k) => (worst > best ? ((objectives[k] ?? best) - best) / (worst - best) : 0)))
  return front.reduce<Member | undefined>(
    (nearest, member) => (nearest && distance(nearest) <= distance(member) ? nearest : member),
    undefined,
  )
}
