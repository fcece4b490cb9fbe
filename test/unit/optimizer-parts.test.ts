import t from 'tap'
import { figureTable } from '../../bench/accuracy/figure.js'
import { compromise } from '../../workers/optimization/compromise.js'
import { judge } from '../../workers/optimization/judge.js'
import { offspring, type Parent, select } from '../../workers/optimization/nsga2.js'
import type { Constraint, Individual, Problem, Search, Variable } from '../../workers/optimization/problem.js'
import { RandomNumbers } from '../../workers/optimization/random-numbers.js'
import { latinHypercube, uniformPoint } from '../../workers/optimization/sampling.js'
import { nearestValue, valueAt } from '../../workers/optimization/variable-values.js'
import { cross, mutate } from '../../workers/optimization/variation.js'
import { foldAll, member, minimising, unitVariables } from '../support/search.js'

const WIDE: Variable = { name: 'x', min: -1000, max: 1000 }
const UNIT: Variable = { name: 'x', min: 0, max: 1 }

/** The value below which this share of the values lies. */
function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * values.length)] ?? Number.NaN
}

function near(value: number, expected: number, tolerance: number): boolean {
  return Math.abs(value - expected) <= tolerance
}

t.test('a violation is the relative excess, or the excess itself where the value is 0', async (t) => {
  const cases: [constraint: Omit<Constraint, 'metric'>, measured: number, expected: number][] = [
    [{ operator: '<=', value: 10 }, 12, 0.2],
    [{ operator: '<=', value: 10 }, 10, 0],
    [{ operator: '<=', value: -10 }, -8, 0.2],
    [{ operator: '<=', value: 0 }, 3, 3],
    [{ operator: '>=', value: 10 }, 8, 0.2],
    [{ operator: '>=', value: 10 }, 11, 0],
    [{ operator: '>=', value: 0 }, -3, 3],
    [{ operator: 'within_percent', value: 20_000, tolerance_pct: 1 }, 20_400, 0.01],
    [{ operator: 'within_percent', value: 20_000, tolerance_pct: 1 }, 19_600, 0.01],
    [{ operator: 'within_percent', value: 20_000, tolerance_pct: 1 }, 19_900, 0],
    [{ operator: 'within_percent', value: 4 }, 5, 0.25],
    [{ operator: 'within_percent', value: 0, tolerance_pct: 50 }, -2, 1.5],
  ]
  for (const [constraint, measured, expected] of cases) {
    const problem: Problem = { variables: [UNIT], objectives: minimising(1), constraints: [{ metric: 'c', ...constraint }] }
    const { violation, feasible } = judge(problem, 0, [0], { metrics: { f0: 1, c: measured } })
    t.ok(near(violation ?? -1, expected, 1e-12), `${JSON.stringify(constraint)} at ${measured}: ${violation}`)
    t.equal(feasible, expected === 0)
  }
})

t.test('violations add up, also where a sum is no number any more', async (t) => {
  const constraints = [1, 2, 4].map((value) => ({ metric: `c${value}`, operator: '<=' as const, value }))
  const problem: Problem = { variables: [UNIT], objectives: minimising(1), constraints }
  t.equal(judge(problem, 0, [0], { metrics: { f0: 1, c1: 2, c2: 1, c4: 6 } }).violation, 1.5)
  const huge = judge(problem, 0, [0], { metrics: { f0: 1, c1: 1.7e308, c2: 1.7e308, c4: 1.7e308 } }).violation
  t.ok(Number.isFinite(huge), 'JSON knows no infinity')
})

t.test('a metric is one of its own: names that every object has are missing like others', async (t) => {
  const problem: Problem = { variables: [UNIT], objectives: [{ metric: 'constructor', direction: 'minimize' }], constraints: [] }
  t.equal(judge(problem, 0, [0], { metrics: {} }).reason, 'metric constructor is missing')
})

t.test('in a Latin hypercube each part of each range is met once, and its portions make it up', async (t) => {
  const variables = [...unitVariables(3), { name: 'grid', min: 0, max: 9, step: 1 }]
  const points = latinHypercube(variables, 50, RandomNumbers.ofSeed(1))
  for (const k of [0, 1, 2]) t.equal(new Set(points.map((point) => Math.floor((point[k] ?? 0) * 50))).size, 50)
  for (let level = 0; level < 10; level++) t.equal(points.filter((point) => point[3] === level).length, 5, 'every value is as frequent')
  const orders = [0, 1, 2].map((k) => points.map((point) => Math.floor((point[k] ?? 0) * 50)).join())
  t.equal(new Set(orders).size, 3, 'each variable in an order of its own')
  const portions = [0, 20, 45].flatMap((from, i) => latinHypercube(variables, 50, RandomNumbers.ofSeed(1), from, [20, 45, 50][i]))
  t.same(portions, points)
})

t.test('a sweep is one Latin hypercube over all its generations', async (t) => {
  const problem: Problem = { variables: unitVariables(2), objectives: minimising(1), constraints: [] }
  const search: Search = { strategy: 'sweep', population: 8, generations: 5, seed: 9 }
  const points = foldAll(problem, search, () => ({ metrics: { f0: 1 } })).map(({ evaluation }) => evaluation.point)
  for (const k of [0, 1]) t.equal(new Set(points.map((point) => Math.floor((point[k] ?? 0) * 40))).size, 40)
})

t.test('random points are uniform, and do not begin anew with each generation', async (t) => {
  const problem: Problem = { variables: unitVariables(2), objectives: minimising(1), constraints: [] }
  const search: Search = { strategy: 'random', population: 50, generations: 40, seed: 9 }
  const values = foldAll(problem, search, () => ({ metrics: { f0: 1 } })).flatMap(({ evaluation }) => evaluation.point)
  t.equal(new Set(values).size, 4000)
  for (const share of [0.1, 0.5, 0.9]) t.ok(near(quantile(values, share), share, 0.03))
  t.ok(uniformPoint([{ name: 'x', min: 5, max: 6 }], RandomNumbers.ofSeed(1)).every((value) => value >= 5 && value < 6))
})

t.test('the first numbers of seeds that follow each other are uniform', async (t) => {
  const values = Array.from({ length: 400 }, (_, seed) => RandomNumbers.ofSeed(seed).share())
  for (const share of [0.1, 0.5, 0.9]) t.ok(near(quantile(values, share), share, 0.08), `${quantile(values, share)}`)
})

t.test('a stepped variable has its first value, its last one, and all between', async (t) => {
  const tenths: Variable = { name: 'x', min: 0, max: 0.3, step: 0.1 }
  t.same(
    [0, 0.3, 0.5, 0.9999, 1].map((share) => valueAt(tenths, share)),
    [0, 0.1, 0.2, 0.3, 0.3],
    'also where (0.3 - 0) / 0.1 is less than 3',
  )
  const uneven: Variable = { name: 'x', min: 1, max: 2, step: 0.4 }
  t.same(
    [-5, 1.1, 1.3, 1.9, 2, 9].map((value) => nearestValue(uneven, value)),
    [1, 1, 1.4, 1.8, 1.8, 1.8],
    'the last one is below the bound',
  )
  t.ok(Object.is(nearestValue({ name: 'x', min: -0, max: 1 }, -5), 0), 'JSON knows no -0')
})

t.test('children of a crossover lie as far apart as simulated binary crossover says, around the same middle', async (t) => {
  const random = RandomNumbers.ofSeed(4)
  const pairs = Array.from({ length: 20_000 }, () => cross([WIDE], [1], [3], random).map(([value = 0]) => value))
  for (const [one = 0, two = 0] of pairs) if (!near(one + two, 4, 1e-9)) t.fail(`${one} and ${two}`)
  const crossed = pairs.filter(([one = 0, two = 0]) => !(one === 1 && two === 3))
  const spreads = crossed.map(([one = 0, two = 0]) => Math.abs(one - two) / 2)
  t.ok(near(crossed.length / pairs.length, 0.9 * 0.5, 0.015), 'probability 0.9, and each variable 0.5')
  t.ok(near(quantile(spreads, 0.25), 0.5 ** (1 / 16), 0.003), 'η is 15')
  t.ok(near(quantile(spreads, 0.75), 2 ** (1 / 16), 0.003))
  t.ok(near(crossed.filter(([one = 0, two = 0]) => one > two).length / crossed.length, 0.5, 0.02), 'half of them change sides')
})

t.test('a mutation is as frequent and as long as polynomial mutation says', async (t) => {
  const random = RandomNumbers.ofSeed(5)
  const point = [0, 0, 0, 0]
  const variables = point.map(() => WIDE)
  const values = Array.from({ length: 20_000 }, () => mutate(variables, point, random)).flat()
  const moves = values.filter((value) => value !== 0).map((value) => value / 2000)
  t.ok(near(moves.length / values.length, 1 / 4, 0.01), 'one variable of a point')
  t.ok(near(quantile(moves, 0.25), 0.5 ** (1 / 21) - 1, 0.001), 'η is 20')
  t.ok(near(quantile(moves, 0.75), 1 - 0.5 ** (1 / 21), 0.001))
})

t.test('children and mutants of points at a bound stay inside and move away from it', async (t) => {
  const random = RandomNumbers.ofSeed(6)
  const seen = Array.from({ length: 2000 }, () => cross([UNIT], [0], [1], random).flatMap((child) => mutate([UNIT], child, random)))
  t.ok(seen.flat().every((value) => value >= 0 && value <= 1))
  t.ok(seen.flat().some((value) => value > 0.01 && value < 0.99))
  const fixed: Variable = { name: 'x', min: 2, max: 2 }
  t.same(mutate([fixed], [2], random), [2])
})

t.test('near a bound they are distributed inside of it and not piled up on it', async (t) => {
  const random = RandomNumbers.ofSeed(6)
  const crossed = Array.from({ length: 5000 }, () => cross([UNIT], [0.001], [0.999], random)).flat(2)
  const mutated = Array.from({ length: 5000 }, () => [...mutate([UNIT], [0.001], random), ...mutate([UNIT], [0.999], random)]).flat()
  for (const values of [crossed, mutated]) t.notOk(values.some((value) => value === 0 || value === 1))
})

t.test('a mutation leaves the value of a coarse grid, by one step', async (t) => {
  const coarse: Variable = { name: 'x', min: 0, max: 4, step: 1 }
  const random = RandomNumbers.ofSeed(7)
  const seen = Array.from({ length: 200 }, () => mutate([coarse], [2], random)[0])
  t.same([...new Set(seen)].sort(), [1, 3])
})

function individual(index: number, objectives: readonly number[] | null, violation: number | null = 0): Individual {
  return { index, point: [index], objectives, violation }
}

t.test('survivors are the best fronts whole, and of the last one the least crowded', async (t) => {
  const first = [individual(0, [0, 4]), individual(1, [4, 0])]
  // Of the second front, 4 has the nearest neighbours.
  const second = [individual(2, [1, 9]), individual(3, [5, 5]), individual(4, [5.1, 4.9]), individual(5, [5.3, 4.7]), individual(6, [9, 1])]
  const others = [individual(7, null, null), individual(8, [0, 0], 3), individual(9, [9, 9], 2)]
  const indexes = (count: number) => select([...others, ...second, ...first], count).map(({ individual: { index } }) => index)
  t.same(indexes(2), [0, 1])
  t.same(indexes(4), [0, 1, 2, 6])
  t.same(indexes(6), [0, 1, 2, 6, 3, 5])
  t.same(indexes(10), [0, 1, 2, 3, 4, 5, 6, 9, 8, 7], 'then by violation, and last what has none')
  t.equal(indexes(99).length, 10)
})

t.test('a tournament is won by the better front, then by the less crowded place', async (t) => {
  const parent = (index: number, at: number, rank: number, distance: number): Parent => ({
    individual: { index, point: [at], objectives: [0], violation: 0 },
    rank,
    distance,
  })
  const winners: [Parent, Parent][] = [
    [parent(0, 200, 0, 1), parent(1, 800, 1, 5)],
    [parent(0, 200, 0, Number.POSITIVE_INFINITY), parent(1, 800, 0, 5)],
  ]
  for (const [better, worse] of winners) {
    for (const parents of [
      [better, worse],
      [worse, better],
    ]) {
      const children = offspring([WIDE], parents, [], 40, RandomNumbers.ofSeed(8)).flat()
      t.ok(Math.abs(quantile(children, 0.5) - 200) < 100, 'all of them are mutants of the better one')
      t.notOk(children.some((value) => value === 800))
    }
  }
})

t.test('no child is what its parents were', async (t) => {
  const variables: Variable[] = [{ name: 'x', min: 0, max: 20, step: 0.25 }]
  const known = [8, 9, 10, 11].map((at, index): Individual => ({ index, point: [at], objectives: [at], violation: 0 }))
  const children = offspring(variables, select(known, 4), known, 3, RandomNumbers.ofSeed(2)).flat()
  t.equal(new Set([...children, 8, 9, 10, 11]).size, 7)
})

t.test('the compromise is the best of one objective, and of more the nearest to the ideal', async (t) => {
  t.equal(compromise([]), undefined)
  t.equal(compromise([member(0, [3]), member(1, [1]), member(2, [2])])?.index, 1)
  const front = [member(0, [0, 1000]), member(1, [0.4, 300]), member(2, [0.9, 200]), member(3, [1, 0])]
  t.equal(compromise(front)?.index, 1, 'each objective in its own range')
  t.equal(
    compromise([member(5, [0, 1, 4]), member(6, [1, 0, 4])])?.index,
    5,
    'of equals the first; what is the same for all does not count',
  )
})

t.test('a figure that does not hold is told', async (t) => {
  const lines = figureTable([
    { what: 'one', figure: '1', bound: '2', holds: true },
    { what: 'other', figure: '3', bound: '2', holds: false },
  ])
  t.match(lines, /one.* holds\n.*other.*DOES NOT HOLD\n$/)
})
