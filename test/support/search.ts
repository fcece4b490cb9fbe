import { begin, type Candidate, type Checkpoint, candidates, type Fold, fold } from '../../workers/optimization/optimizer.js'
import type { Member, Objective, Outcome, Problem, Search, Variable } from '../../workers/optimization/problem.js'

/** What comes of a point. */
export type Evaluate = (point: readonly number[], index: number) => Outcome

/** How a search is gone through: in which order the points of a generation come back, and what happens to a checkpoint before each of them. */
export interface Course {
  readonly order?: (candidates: readonly Candidate[], generation: number) => readonly Candidate[]
  readonly between?: (checkpoint: Checkpoint) => Checkpoint
}

/** Goes through a whole search; answers every fold, in its order. */
export function foldAll(
  problem: Problem,
  search: Search,
  evaluate: Evaluate,
  { order = (all) => all, between = (same) => same }: Course = {},
): Fold[] {
  const folds: Fold[] = []
  let checkpoint = begin(problem, search)
  while (checkpoint.end === null) {
    for (const { index, point } of order(candidates(search, checkpoint), checkpoint.generation)) {
      const next = fold(problem, search, between(checkpoint), index, evaluate(point, index))
      if (!next) throw new Error(`candidate ${index} was not taken`)
      folds.push(next)
      checkpoint = next.checkpoint
    }
  }
  return folds
}

/** The last checkpoint of a whole search. */
export function searched(problem: Problem, search: Search, evaluate: Evaluate, course?: Course): Checkpoint {
  const last = foldAll(problem, search, evaluate, course).at(-1)
  if (!last) throw new Error('the search has no points')
  return last.checkpoint
}

/** Variables from 0 to 1. */
export function unitVariables(count: number): Variable[] {
  return Array.from({ length: count }, (_, i) => ({ name: `x${i}`, min: 0, max: 1 }))
}

/** Objectives f0, f1, …, all of them minimised. */
export function minimising(count: number): Objective[] {
  return Array.from({ length: count }, (_, i) => ({ metric: `f${i}`, direction: 'minimize' }))
}

/** A member of a front with these objectives. */
export function member(index: number, objectives: readonly number[]): Member {
  return { index, point: [index], objectives, metrics: {} }
}

/** Whether a point dominates another: by the definition, apart from what the program has. */
export function isBetter(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, k) => value <= (b[k] ?? 0)) && a.some((value, k) => value < (b[k] ?? 0))
}

/** The same with all that it holds made unchangeable: whoever writes to it throws. */
export function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) frozen(part)
  }
  return value
}
