import { begin, type Candidate, type Checkpoint, candidates, type Fold, fold } from '../../workers/optimization/optimizer.js'
import type { Member, Objective, Outcome, Problem, Search, Variable } from '../../workers/optimization/problem.js'

/** Computes the outcome of a point. */
export type Evaluate = (point: readonly number[], index: number) => Outcome

/** `order`: the order in which the points of a generation come back. `between`: changes the checkpoint before each. */
export interface Course {
  readonly order?: (candidates: readonly Candidate[], generation: number) => readonly Candidate[]
  readonly between?: (checkpoint: Checkpoint) => Checkpoint
}

/** Runs a whole search and returns every fold in order. */
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
      if (!next) throw new Error(`candidate ${index} was rejected`)
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

/** Objectives f0, f1, …, all minimized. */
export function minimising(count: number): Objective[] {
  return Array.from({ length: count }, (_, i) => ({ metric: `f${i}`, direction: 'minimize' }))
}

/** A member of a front with these objectives. */
export function member(index: number, objectives: readonly number[]): Member {
  return { index, point: [index], objectives, metrics: {} }
}

/** Whether a point dominates another, by the definition and independent of the implementation. */
export function isBetter(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, k) => value <= (b[k] ?? 0)) && a.some((value, k) => value < (b[k] ?? 0))
}

/** The value, deeply frozen, so that writes throw. */
export function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) frozen(part)
  }
  return value
}
