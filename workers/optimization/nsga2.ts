import { crowdingDistances } from './crowding.js'
import { nonDominatedFronts } from './dominance.js'
import type { Individual, Variable } from './problem.js'
import type { RandomNumbers } from './random-numbers.js'
import { latinHypercube, uniformPoint } from './sampling.js'
import { cross, mutate } from './variation.js'

type Point = readonly number[]

/** Maximum redraws of a point that exists already. A small grid may have no other point. */
const TRIES = 20

/** A survivor, with the values that tournaments compare. */
export interface Parent {
  readonly individual: Individual
  /** Number of its front. */
  readonly rank: number
  readonly distance: number
}

/** The best `count` of these: front by front; of the last front the least crowded ones; of equal ones the first. */
export function select(individuals: readonly Individual[], count: number): Parent[] {
  const parents: Parent[] = []
  for (const [rank, front] of nonDominatedFronts(individuals).entries()) {
    const ranked = distancesIn(front).map(({ individual, distance }) => ({ individual, rank, distance }))
    const room = count - parents.length
    parents.push(...(ranked.length <= room ? ranked : leastCrowded(ranked).slice(0, room)))
    if (parents.length === count) break
  }
  return parents
}

function leastCrowded(parents: readonly Parent[]): Parent[] {
  // Not by a difference: the difference of two infinite distances is not a number.
  return parents.toSorted((a, b) => Number(a.distance < b.distance) - Number(a.distance > b.distance))
}

/** A point without objectives has no neighbours. */
function distancesIn(front: readonly Individual[]): { readonly individual: Individual; readonly distance: number }[] {
  const measured = front.filter(({ objectives }) => objectives !== null)
  const distances = crowdingDistances(measured.map(({ objectives }) => objectives ?? []))
  const byIndividual = new Map(measured.map((individual, i) => [individual, distances[i]]))
  return front.map((individual) => ({ individual, distance: byIndividual.get(individual) ?? 0 }))
}

/** The first generation: a Latin hypercube. If steps make two of its points equal, the second is redrawn at random. */
export function firstPoints(variables: readonly Variable[], count: number, random: RandomNumbers): number[][] {
  const taken: Point[] = []
  return latinHypercube(variables, count, random).map((point) => untaken(point, taken, () => uniformPoint(variables, random)))
}

/**
 * As many children of these parents. None is in `known` and none occurs twice, as far as a few redraws can avoid it.
 */
export function offspring(
  variables: readonly Variable[],
  parents: readonly Parent[],
  known: readonly Individual[],
  count: number,
  random: RandomNumbers,
): number[][] {
  const taken = known.map(({ point }) => point)
  const breed = () => {
    const pair = cross(variables, winner(parents, random).point, winner(parents, random).point, random)
    return pair.map((child) => mutate(variables, child, random))
  }
  const children: number[][] = []
  while (children.length < count) for (const child of breed()) children.push(untaken(child, taken, () => breed()[0] ?? child))
  return children.slice(0, count)
}

/** Of two random parents the one of the better front, or of the same front the less crowded one. */
function winner(parents: readonly Parent[], random: RandomNumbers): Individual {
  const first = random.below(parents.length)
  const second = parents.length > 1 ? (first + 1 + random.below(parents.length - 1)) % parents.length : first
  const [a, b] = [parents[first], parents[second]]
  if (!a || !b) throw new RangeError('selection needs at least one parent')
  return b.rank < a.rank || (b.rank === a.rank && b.distance > a.distance) ? b.individual : a.individual
}

/**
 * The point, or if it exists already the first redrawn one that does not. After the maximum of redraws the last one is
 * used anyway.
 */
function untaken(point: number[], taken: Point[], draw: () => number[]): number[] {
  let chosen = point
  for (let tries = 0; tries < TRIES && taken.some((other) => areEqual(chosen, other)); tries++) chosen = draw()
  taken.push(chosen)
  return chosen
}

function areEqual(a: Point, b: Point): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
