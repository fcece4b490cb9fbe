import { enter, settle } from './archive.js'
import { type Growth, grow, isPlateau, NO_GROWTH } from './growth.js'
import { judge, memberOf, trimmed } from './judge.js'
import type { Evaluation, Member, Outcome, Problem, Search } from './problem.js'
import { firstPlan, nextPlan, type Plan } from './strategies.js'

/** Why a search is over: all generations have been evaluated, or the front has ceased to grow. */
export type SearchEnd = 'done' | 'plateau'

/**
 * The checkpoint of a search: plain JSON, immutable, replaced by the next one. It holds the current generation, the
 * parents and the front, but no history: its size does not grow with the generations.
 */
export interface Checkpoint extends Plan, Growth {
  /** The current generation, from 0 on; the last one if the search has ended. */
  readonly generation: number
  /** By position in the generation; null until evaluated. */
  readonly evaluations: readonly (Evaluation | null)[]
  /** The front: feasible points that do not dominate each other, by index. */
  readonly archive: readonly Member[]
  /**
   * Members of earlier generations that were dropped in this one. Together with the archive they give the archive at
   * the beginning of the generation.
   */
  readonly evicted: readonly Member[]
  readonly end: SearchEnd | null
}

/** A point to be evaluated. */
export interface Candidate {
  /** Unique in the whole search: generation g has the indexes from g · population on. */
  readonly index: number
  readonly point: readonly number[]
}

/** The effect of an evaluation on a search. */
export interface Fold {
  readonly checkpoint: Checkpoint
  readonly evaluation: Evaluation
  /** Whether the archive has changed. */
  readonly paretoUpdated: boolean
  /** The generation that this evaluation completed. */
  readonly completedGeneration: number | null
  /** Of the archive, if a generation was completed and there has been a feasible point. */
  readonly hypervolume: number | null
  readonly end: SearchEnd | null
}

/** The initial checkpoint of a search. */
export function begin(problem: Problem, search: Search): Checkpoint {
  return open(0, firstPlan(problem, search), [], NO_GROWTH)
}

/** All points of the current generation, evaluated or not, by index; none if the search has ended. */
export function candidates(search: Search, { generation, points }: Checkpoint): readonly Candidate[] {
  return points.map((point, place) => ({ index: generation * search.population + place, point }))
}

/**
 * Adds the evaluation of a candidate. The evaluations of a generation may come in any order: once it is complete, the
 * checkpoint is the same. Null if the candidate is not of this generation or was added before; then nothing is to be
 * done.
 */
export function fold(problem: Problem, search: Search, checkpoint: Checkpoint, index: number, outcome: Outcome): Fold | null {
  const place = index - checkpoint.generation * search.population
  const point = checkpoint.points[place]
  if (point === undefined || checkpoint.evaluations[place] !== null) return null
  const evaluation = judge(problem, index, point, outcome)
  const next = take(problem, checkpoint, place, evaluation)
  const evaluated = next.evaluations.filter((known) => known !== null)
  if (evaluated.length < next.evaluations.length) {
    const paretoUpdated = next.archive !== checkpoint.archive
    return { checkpoint: next, evaluation, paretoUpdated, completedGeneration: null, hypervolume: null, end: null }
  }
  const completed = complete(problem, search, next, evaluated)
  return {
    checkpoint: completed,
    evaluation,
    paretoUpdated: !haveSameMembers(completed.archive, checkpoint.archive),
    completedGeneration: checkpoint.generation,
    hypervolume: completed.hypervolume,
    end: completed.end,
  }
}

/** The values of a point by the names of their variables. */
export function parametersOf({ variables }: Problem, point: readonly number[]): Record<string, number> {
  return Object.fromEntries(variables.map(({ name, min }, i) => [name, point[i] ?? min]))
}

/** The checkpoint with one more evaluation of its generation. */
function take(problem: Problem, checkpoint: Checkpoint, place: number, evaluation: Evaluation): Checkpoint {
  const evaluations = checkpoint.evaluations.with(place, trimmed(problem, evaluation))
  const newcomer = memberOf(problem, evaluation)
  if (!newcomer) return { ...checkpoint, evaluations }
  const { members, evicted } = enter(checkpoint.archive, newcomer)
  return { ...checkpoint, evaluations, archive: members, evicted: [...checkpoint.evicted, ...evicted.filter(isOlderThan(checkpoint))] }
}

/**
 * The checkpoint after a complete generation. The front is rebuilt by index: until now it depended on the order of
 * arrival.
 */
function complete(problem: Problem, search: Search, checkpoint: Checkpoint, evaluated: readonly Evaluation[]): Checkpoint {
  const { generation } = checkpoint
  const older = [...checkpoint.archive.filter(isOlderThan(checkpoint)), ...checkpoint.evicted]
  const archive = settle(
    older,
    evaluated.flatMap((evaluation) => memberOf(problem, evaluation) ?? []),
  )
  const growth = grow(checkpoint, evaluated, archive)
  const end = endAfter(search, generation, growth)
  if (end) return { ...open(generation, { points: [], parents: [], random: checkpoint.random }, archive, growth), end }
  return open(generation + 1, nextPlan(problem, search, generation + 1, checkpoint, evaluated), archive, growth)
}

function open(generation: number, { points, parents, random }: Plan, archive: readonly Member[], growth: Growth): Checkpoint {
  const { reference, hypervolume, idle } = growth
  const evaluations = points.map(() => null)
  return { generation, points, parents, random, evaluations, archive, evicted: [], reference, hypervolume, idle, end: null }
}

function endAfter({ strategy, generations, plateau = true }: Search, generation: number, growth: Growth): SearchEnd | null {
  if (generation + 1 >= generations) return 'done'
  return strategy === 'nsga2' && plateau && isPlateau(growth) ? 'plateau' : null
}

/** Whether a member is of a generation before the current one. */
function isOlderThan({ generation, points }: Checkpoint): (member: Member) => boolean {
  return ({ index }) => index < generation * points.length
}

function haveSameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every(({ index }, i) => index === b[i]?.index)
}
