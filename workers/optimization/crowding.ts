/**
 * Crowding distance of each point (Deb et al. 2002, section III-B): per objective the gap between its two neighbours as
 * a share of the range, summed; infinite at both ends. Of points that are equal in an objective the earlier one comes
 * first.
 */
export function crowdingDistances(points: readonly (readonly number[])[]): number[] {
  return distancesAlong(points, ordersOf(points))
}

/**
 * Keeps `limit` of the points. It repeatedly drops the point with the smallest crowding distance among the rest; of
 * equal ones the last. Returns the positions of the kept points, ascending. One sort, then n·m per dropped point.
 */
export function spread(points: readonly (readonly number[])[], limit: number): number[] {
  let orders = ordersOf(points)
  let left = [...points.keys()]
  while (left.length > limit) {
    const distances = distancesAlong(points, orders)
    const distance = (i: number) => distances[i] ?? 0
    const going = left.reduce((closest, i) => (distance(i) <= distance(closest) ? i : closest))
    left = left.filter((i) => i !== going)
    orders = orders.map((order) => order.filter((i) => i !== going))
  }
  return left
}

/** For each objective the positions of the points in its order. */
function ordersOf(points: readonly (readonly number[])[]): number[][] {
  const objectives = [...(points[0] ?? []).keys()]
  return objectives.map((k) => {
    const values = points.map((point) => point[k] ?? 0)
    return [...points.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  })
}

/** Distances by position, of the points in the orders. */
function distancesAlong(points: readonly (readonly number[])[], orders: readonly (readonly number[])[]): number[] {
  const distances = points.map(() => 0)
  for (const [k, order] of orders.entries()) {
    const at = (rank: number) => points[order[rank] ?? -1]?.[k] ?? 0
    const last = order.length - 1
    const range = at(last) - at(0)
    for (const [rank, i] of order.entries()) {
      const isEnd = rank === 0 || rank === last
      const gap = isEnd ? Number.POSITIVE_INFINITY : range > 0 ? (at(rank + 1) - at(rank - 1)) / range : 0
      distances[i] = (distances[i] ?? 0) + gap
    }
  }
  return distances
}
