import { enter, settle } from './archive.js'
import { type Growth, grow, isPlateau, NO_GROWTH } from './growth.js'
import { judge, memberOf, trimmed } from './judge.js'
import type { Evaluation, Member, Outcome, Problem, Search } from './problem.js'
import { firstPlan, nextPlan, type Plan } from './strategies.js'

/** Why a search is over: all generations have been evaluated, or the front has ceased to grow. */
export type SearchEnd = 'done' | 'plateau'

/**
 * Where a search stands: plain JSON, never changed, only followed by another one. It holds the current generation, the parents and the front, and no
 * history: its size does not grow with the generations.
 */
export interface Checkpoint extends Plan, Growth {
  /** The current one, from 0 on; the last one of a search that has ended. */
  readonly generation: number
  /** By place in the generation, null where it is not there yet. */
  readonly evaluations: readonly (Evaluation | null)[]
  /** The front: feasible points that do not dominate each other, by index. */
  readonly archive: readonly Member[]
  /** Of earlier generations' members those that had to make room in this one. Together with the archive they tell what it was at the beginning. */
  readonly evicted: readonly Member[]
  readonly end: SearchEnd | null
}

/** A point to be evaluated. */
export interface Candidate {
  /** Unique in the whole search: generation g has those from g · population on. */
  readonly index: number
  readonly point: readonly number[]
}

/** What an evaluation made of a search. */
export interface Fold {
  readonly checkpoint: Checkpoint
  readonly evaluation: Evaluation
  /** Whether the archive is another one than before. */
  readonly paretoUpdated: boolean
  /** The generation that this evaluation completed. */
  readonly completedGeneration: number | null
  /** Of the archive, where a generation was completed and there has been a feasible point. */
  readonly hypervolume: number | null
  readonly end: SearchEnd | null
}

/** The checkpoint at which a search begins. */
export function begin(problem: Problem, search: Search): Checkpoint {
  return open(0, firstPlan(problem, search), [], NO_GROWTH)
}

/** All points of the current generation, evaluated or not, by index; none of a search that has ended. */
export function candidates(search: Search, { generation, points }: Checkpoint): readonly Candidate[] {
  return points.map((point, place) => ({ index: generation * search.population + place, point }))
}

/**
 * Takes in what came of a candidate. The evaluations of a generation may come in any order: once it is complete the checkpoint is the same. Null, and
 * nothing is to be done, where the candidate is not of this generation or was folded before.
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

/** What follows a generation of which everything is known. The front is made anew from it by index: so far it depended on who came first. */
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
