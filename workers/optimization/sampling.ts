import type { Variable } from './problem.js'
import type { RandomNumbers } from './random-numbers.js'
import { valueAt } from './variable-values.js'

/** A random point, uniform in every variable. */
export function uniformPoint(variables: readonly Variable[], random: RandomNumbers): number[] {
  return variables.map((variable) => valueAt(variable, random.share()))
}

/**
 * The points `from` to before `to` of a Latin hypercube of `count` points: each of `count` equal parts of each
 * variable's range is used once (McKay, Beckman and Conover 1979). It draws for all points, whichever are requested, so
 * that portions of one hypercube can be computed separately.
 */
export function latinHypercube(variables: readonly Variable[], count: number, random: RandomNumbers, from = 0, to = count): number[][] {
  const columns = variables.map((variable) => {
    const parts = shuffled(count, random)
    const places = parts.map((part) => (part + random.share()) / count)
    return Array.from(places.subarray(from, to), (share) => valueAt(variable, share))
  })
  return Array.from({ length: to - from }, (_, i) => columns.map((column) => column[i] ?? Number.NaN))
}

/** The numbers 0 to before `count` in random order (Fisher and Yates). */
function shuffled(count: number, random: RandomNumbers): Float64Array {
  const numbers = Float64Array.from({ length: count }, (_, i) => i)
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1)
    const value = numbers[last] ?? 0
    numbers[last] = numbers[other] ?? 0
    numbers[other] = value
  }
  return numbers
}
