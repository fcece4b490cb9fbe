import type { Variable } from './problem.js'
import type { RandomNumbers } from './random-numbers.js'
import { nearestValue, nextValue } from './variable-values.js'

const CROSSOVER_PROBABILITY = 0.9
const CROSSOVER_INDEX = 15
const MUTATION_INDEX = 20

/**
 * Two children of two points by simulated binary crossover (η 15, p 0.9; each variable with p 0.5), in its form for
 * bounded variables (Deb and Agrawal 1995; the bounds as in Deb's own program). A stepped variable is rounded to its
 * nearest value.
 */
export function cross(
  variables: readonly Variable[],
  a: readonly number[],
  b: readonly number[],
  random: RandomNumbers,
): [number[], number[]] {
  const children: [number[], number[]] = [[...a], [...b]]
  if (random.share() >= CROSSOVER_PROBABILITY) return children
  for (const [i, variable] of variables.entries()) {
    if (random.share() >= 0.5) continue
    const [one = variable.min, two = variable.min] = [a[i], b[i]]
    if (one === two) continue
    const pair = crossValues(variable, Math.min(one, two), Math.max(one, two), random.share())
    const [first, second] = random.share() < 0.5 ? pair : pair.toReversed()
    children[0][i] = nearestValue(variable, first ?? one)
    children[1][i] = nearestValue(variable, second ?? two)
  }
  return children
}

function crossValues({ min, max }: Variable, low: number, high: number, share: number): [number, number] {
  const gap = high - low
  const middle = (low + high) / 2
  return [middle - (spreadFactor((low - min) / gap, share) * gap) / 2, middle + (spreadFactor((max - high) / gap, share) * gap) / 2]
}

/**
 * Distance of two children, relative to that of their parents. It never exceeds the bound, which is `room` gaps beyond
 * the parent.
 */
function spreadFactor(room: number, share: number): number {
  const scaled = share * (2 - (1 + 2 * room) ** -(CROSSOVER_INDEX + 1))
  return (scaled <= 1 ? scaled : 1 / (2 - scaled)) ** (1 / (CROSSOVER_INDEX + 1))
}

/**
 * The point after polynomial mutation (η 20; each variable with p 1/n), with the same bounds. A mutation of a stepped
 * variable is at least one step.
 */
export function mutate(variables: readonly Variable[], point: readonly number[], random: RandomNumbers): number[] {
  return variables.map((variable, i) => {
    const value = point[i] ?? variable.min
    if (random.share() >= 1 / variables.length || variable.max === variable.min) return value
    return nextValue(variable, value, mutated(variable, value, random.share()))
  })
}

function mutated({ min, max }: Variable, value: number, share: number): number {
  const range = max - min
  const power = MUTATION_INDEX + 1
  if (share < 0.5) return value + range * ((2 * share + (1 - 2 * share) * ((max - value) / range) ** power) ** (1 / power) - 1)
  return value + range * (1 - (2 * (1 - share) + (2 * share - 1) * ((value - min) / range) ** power) ** (1 / power))
}
