import type { Member } from './problem.js'

/**
 * The one member to show where one is asked for. Of one objective it is the best; of more the nearest to the ideal point, which has the best value of
 * each objective over the front, every objective being measured in the front's range of it; of equals the first. Undefined of an empty front.
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
