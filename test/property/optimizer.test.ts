import { deepStrictEqual as deepEqual, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { checkOptimizer } from '../../bench/accuracy/optimizer.js'
import { type Checkpoint, candidates, fold } from '../../workers/optimization/optimizer.js'
import type { Member, Outcome, Problem, Search, Variable } from '../../workers/optimization/problem.js'
import { type Course, type Evaluate, foldAll, frozen, isBetter, minimising, searched } from '../support/search.js'
import { check } from './check.js'

type Point = readonly number[]

function indexesOf(members: readonly Member[]): number[] {
  return members.map(({ index }) => index)
}

const variable: fc.Arbitrary<Omit<Variable, 'name'>> = fc
  .record({
    min: fc.integer({ min: -3, max: 3 }),
    range: fc.constantFrom(0, 0.3, 1, 7),
    step: fc.constantFrom(undefined, undefined, 0.1, 0.25, 1, 10),
  })
  .map(({ min, range, step }) => ({ min, max: min + range, ...(step !== undefined && { step }) }))

const problems: fc.Arbitrary<Problem> = fc.record({
  variables: fc.array(variable, { minLength: 1, maxLength: 4 }).map((all) => all.map((one, i) => ({ name: `x${i}`, ...one }))),
  objectives: fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.boolean())
    .map(([count, isTurned]) =>
      minimising(count).map((one, i) => (isTurned && i === 0 ? { ...one, direction: 'maximize' as const } : one)),
    ),
  constraints: fc.array(
    fc.record({
      metric: fc.constant('c'),
      operator: fc.constantFrom('<=', '>=', 'within_percent'),
      value: fc.integer({ min: -1, max: 1 }),
      tolerance_pct: fc.constant(60),
    }),
    { maxLength: 1 },
  ),
})

const searches: fc.Arbitrary<Search> = fc.record({
  strategy: fc.constantFrom('nsga2', 'nsga2', 'nsga2', 'sweep', 'random'),
  population: fc.integer({ min: 1, max: 8 }),
  generations: fc.integer({ min: 1, max: 5 }),
  seed: fc.integer(),
})

/** Anything that can come of a run: a function of the point alone, with ties, failures, and what is missing or no number. */
const evaluate: Evaluate = (point) => {
  const sum = point.reduce((total, value, i) => total + value * (i + 1), 0)
  const draw = (Math.abs(Math.round(sum * 1000)) + 5) % 13
  if (draw === 0) return { failure: 'the mesh is torn' }
  const metrics = { f0: sum, f1: Math.round(4 * Math.cos(sum)), f2: Math.sin(3 * sum), c: Math.cos(5 * sum), other: 7 }
  if (draw === 1) return { metrics: { ...metrics, f0: Number.NaN } }
  const { c, ...withoutConstraint } = metrics
  return { metrics: draw === 2 ? withoutConstraint : metrics }
}

t.test('the same seed leads to the same checkpoints, in whatever order the points of a generation come back', async (t) => {
  const orders = fc.array(fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), { minLength: 5, maxLength: 5 })
  const property = fc.property(problems, searches, orders, (problem, search, keys) => {
    const byKeys: Course['order'] = (all, generation) => {
      const key = ({ index }: { index: number }) => keys[generation]?.[index % search.population] ?? 0
      return all.toSorted((a, b) => key(a) - key(b))
    }
    const between = (course: Course) =>
      foldAll(problem, search, evaluate, course).flatMap(({ completedGeneration, checkpoint }) =>
        completedGeneration === null ? [] : [checkpoint],
      )
    deepEqual(between({ order: byKeys }), between({}))
  })
  await check(t, 'optimizer-order', property, 400)
})

t.test('a search goes on from JSON as if it had not been away, and never changes what it was given', async (t) => {
  const property = fc.property(problems, searches, (problem, search) => {
    const stored = searched(problem, search, evaluate, { between: (checkpoint) => frozen(JSON.parse(JSON.stringify(checkpoint))) })
    deepEqual(stored, searched(problem, search, evaluate, { between: frozen }))
    deepEqual(JSON.parse(JSON.stringify(stored)), stored)
  })
  await check(t, 'optimizer-json', property, 400)
})

/** Throws where a point is not one of the problem's. */
function assertInside({ variables }: Problem, point: Point): void {
  deepEqual(point.length, variables.length)
  for (const [i, { min, max, step }] of variables.entries()) {
    const value = point[i] ?? Number.NaN
    ok(value >= min && value <= max, `${value} is between ${min} and ${max}`)
    if (step === undefined) continue
    const level = Math.round((value - min) / step)
    ok(value === Math.min(min + level * step, max), `${value} is ${min} + k · ${step}`)
    ok(Math.abs(min + level * step - value) < 1e-9)
  }
}

t.test('every candidate is inside the bounds and on its steps, and has the next index', async (t) => {
  const property = fc.property(problems, searches, (problem, search) => {
    let expected = 0
    const look = (checkpoint: Checkpoint) => {
      const all = candidates(search, checkpoint)
      deepEqual(
        all.map(({ index }) => index),
        all.map((_, place) => checkpoint.generation * search.population + place),
      )
      for (const { point } of all) assertInside(problem, point)
      expected = Math.max(expected, (all.at(-1)?.index ?? -1) + 1)
      return checkpoint
    }
    searched(problem, { ...search, plateau: false }, evaluate, { between: look })
    deepEqual(expected, search.population * search.generations)
  })
  await check(t, 'optimizer-candidates', property, 300)
})

t.test('each fold says truly whether the front changed, and the front is that of all points so far', async (t) => {
  const property = fc.property(problems, searches, (problem, search) => {
    let before: readonly Member[] = []
    let volume = 0
    const feasible: Member[] = []
    for (const { checkpoint, evaluation, paretoUpdated, hypervolume } of foldAll(problem, search, evaluate)) {
      deepEqual(paretoUpdated, indexesOf(checkpoint.archive).join() !== indexesOf(before).join())
      before = checkpoint.archive
      const { index, point, objectives } = evaluation
      if (evaluation.feasible && objectives) feasible.push({ index, point, objectives, metrics: {} })
      const front = feasible.filter((one) => !feasible.some((other) => isBetter(other.objectives, one.objectives)))
      deepEqual(new Set(before.map((one) => one.objectives.join())), new Set(front.map((one) => one.objectives.join())))
      if (hypervolume !== null) ok(hypervolume >= volume, 'and its hypervolume never falls')
      volume = hypervolume ?? volume
    }
  })
  await check(t, 'optimizer-front', property, 300)
})

t.test('what was folded, is not of this generation or comes after the end is folded no more', async (t) => {
  const anything: fc.Arbitrary<Outcome> = fc.constantFrom({ failure: 'late' }, { metrics: { f0: 1, f1: 1, f2: 1, c: 0 } })
  const property = fc.property(problems, searches, fc.double(), anything, (problem, search, stray, outcome) => {
    const between = (checkpoint: Checkpoint) => {
      const start = checkpoint.generation * search.population
      const known = checkpoint.evaluations.flatMap((evaluation) => evaluation?.index ?? [])
      for (const index of [...known, start - 1, start + search.population, start + 0.5, stray + start]) {
        if (known.includes(index) || !candidates(search, checkpoint).some((candidate) => candidate.index === index))
          deepEqual(fold(problem, search, checkpoint, index, outcome), null)
      }
      return checkpoint
    }
    const end = searched(problem, search, evaluate, { between })
    for (let index = 0; index < search.population * search.generations; index++) deepEqual(fold(problem, search, end, index, outcome), null)
  })
  await check(t, 'optimizer-idempotent', property, 200)
})

t.test('fronts of published problems are found to within 1 %', async (t) => {
  const figures = await checkOptimizer(1)
  t.equal(figures.length, 3)
  for (const { what, figure, holds } of figures) t.ok(holds, `${what}: ${figure}`)
})
