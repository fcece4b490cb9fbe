import { firstPoints, offspring, select } from './nsga2.js'
import type { Individual, Problem, Search } from './problem.js'
import { RandomNumbers } from './random-numbers.js'
import { latinHypercube, uniformPoint } from './sampling.js'

/** The points of a generation, and the data for the next one. */
export interface Plan {
  readonly points: readonly (readonly number[])[]
  /** The best members of all earlier generations; `nsga2` only. */
  readonly parents: readonly Individual[]
  /** State of the random numbers after these points. */
  readonly random: readonly number[]
}

/** The plan of the first generation. */
export function firstPlan({ variables }: Problem, search: Search): Plan {
  const random = RandomNumbers.ofSeed(search.seed)
  const planned = (points: readonly (readonly number[])[]): Plan => ({ points, parents: [], random: random.state })
  switch (search.strategy) {
    case 'nsga2':
      return planned(firstPoints(variables, search.population, random))
    case 'sweep':
      return planned(portion(variables, search, 0))
    case 'random':
      return planned(uniformPoints(variables, search, random))
  }
}

/** The plan of a later generation, from the previous one and all its evaluations by index. */
export function nextPlan({ variables }: Problem, search: Search, generation: number, before: Plan, evaluated: readonly Individual[]): Plan {
  const random = RandomNumbers.ofState(before.random)
  switch (search.strategy) {
    case 'nsga2': {
      const all = [...before.parents, ...evaluated]
      const parents = select(all, search.population)
      const points = offspring(variables, parents, all, search.population, random)
      return { points, parents: parents.map(({ individual }) => bare(individual)), random: random.state }
    }
    case 'sweep':
      return { points: portion(variables, search, generation), parents: [], random: before.random }
    case 'random':
      return { points: uniformPoints(variables, search, random), parents: [], random: random.state }
  }
}

/** Without the other parts of an evaluation: parents are kept only for selection. */
function bare({ index, point, objectives, violation }: Individual): Individual {
  return { index, point, objectives, violation }
}

/**
 * This generation's part of the single hypercube of the whole search. It is recomputed each time: it would be too large
 * to store.
 */
function portion(variables: Problem['variables'], { seed, population, generations }: Search, generation: number): number[][] {
  const from = generation * population
  return latinHypercube(variables, population * generations, RandomNumbers.ofSeed(seed), from, from + population)
}

function uniformPoints(variables: Problem['variables'], { population }: Search, random: RandomNumbers): number[][] {
  return Array.from({ length: population }, () => uniformPoint(variables, random))
}
