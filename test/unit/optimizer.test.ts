import t from 'tap'
import { enter } from '../../workers/optimization/archive.js'
import { begin, candidates, fold, parametersOf } from '../../workers/optimization/optimizer.js'
import type { Member, Problem, Search } from '../../workers/optimization/problem.js'
import { random } from '../support/random.js'
import { type Evaluate, foldAll, member, minimising, searched, unitVariables } from '../support/search.js'

const TWO: Problem = { variables: unitVariables(2), objectives: minimising(2), constraints: [] }
const ONE: Problem = { ...TWO, objectives: minimising(1) }
const NSGA2: Search = { strategy: 'nsga2', population: 10, generations: 6, seed: 3 }

/** Everything on the line from (0, 1) to (1, 0) is equally good. */
const onLine: Evaluate = ([x = 0]) => ({ metrics: { f0: x, f1: 1 - x } })

/** The least is 0, at (0.25, 0.75). */
const bowl: Evaluate = ([x = 0, y = 0]) => ({ metrics: { f0: (x - 0.25) ** 2 + (y - 0.75) ** 2 } })

function pointsOf(problem: Problem, search: Search, evaluate: Evaluate): string[] {
  return foldAll(problem, search, evaluate).map(({ evaluation }) => evaluation.point.join())
}

t.test('a search has all its generations, and tells which evaluation completed one and which was the last', async (t) => {
  const search = { ...NSGA2, generations: 3, population: 4 }
  const folds = foldAll(TWO, search, onLine)
  t.same(
    folds.map(({ completedGeneration }) => completedGeneration),
    [null, null, null, 0, null, null, null, 1, null, null, null, 2],
  )
  t.same(
    folds.map(({ end }) => end),
    [...Array.from({ length: 11 }, () => null), 'done'],
  )
  t.same(
    folds.map(({ evaluation }) => evaluation.index),
    [...Array.from({ length: 12 }).keys()],
  )
  const last = folds.at(-1)?.checkpoint ?? begin(TWO, search)
  t.same(candidates(search, last), [])
  t.equal(fold(TWO, search, last, 11, { metrics: {} }), null)
})

t.test('a run that failed, or did not say what it should, is infeasible with a reason, and no search ends of it', async (t) => {
  const problem: Problem = { ...TWO, constraints: [{ metric: 'c', operator: '<=', value: 1 }] }
  const outcomes = [
    { failure: 'no resonance was found' },
    { metrics: { f0: 0, c: 0 } },
    { metrics: { f0: 0, f1: 0 } },
    { metrics: { f0: Number.NaN, f1: 0, c: 0 } },
    { metrics: { f0: 0, f1: 0, c: Number.POSITIVE_INFINITY } },
  ]
  const folds = foldAll(problem, NSGA2, (_point, index) => outcomes[index % outcomes.length] ?? { failure: '' })
  t.same(
    folds.slice(0, 5).map(({ evaluation }) => evaluation.reason),
    [
      'the run failed: no resonance was found',
      'metric f1 is missing',
      'metric c is missing',
      'metric f0 is not finite',
      'metric c is not finite',
    ],
  )
  for (const { evaluation, paretoUpdated, hypervolume } of folds) {
    t.match(evaluation, { feasible: false, violation: null })
    t.notOk(paretoUpdated)
    t.equal(hypervolume, null, 'there is no front to measure')
    t.ok(Object.values(evaluation.metrics).every(Number.isFinite))
  }
  t.equal(folds.length, 60)
  t.same(folds.at(-1)?.checkpoint.archive, [])
})

t.test('nsga2 gets to the least value of one objective, where the front is one point', async (t) => {
  const { archive } = searched(ONE, { ...NSGA2, population: 40, generations: 40, plateau: false }, bowl)
  t.equal(archive.length, 1)
  const [best] = archive
  t.ok((best?.objectives[0] ?? 1) < 1e-5, `${best?.objectives}`)
  t.same(best?.metrics, { f0: best?.objectives[0] })
  const blind = searched(ONE, { ...NSGA2, strategy: 'random', population: 40, generations: 40 }, bowl)
  t.ok((blind.archive[0]?.objectives[0] ?? 0) > 10 * (best?.objectives[0] ?? 0), 'chance alone does not')
})

t.test('a maximised objective is searched upwards', async (t) => {
  const problem: Problem = { ...ONE, objectives: [{ metric: 'f0', direction: 'maximize' }] }
  const { archive } = searched(problem, { ...NSGA2, population: 40, generations: 30 }, ([x = 0, y = 0]) => ({ metrics: { f0: x + y } }))
  t.ok((archive[0]?.metrics.f0 ?? 0) > 1.99, `${archive[0]?.metrics.f0}`)
  t.equal(archive[0]?.objectives[0], -(archive[0]?.metrics.f0 ?? 0))
})

t.test('infeasible points lead to the feasible ones', async (t) => {
  const problem: Problem = { ...TWO, constraints: [{ metric: 'c', operator: '>=', value: 1.97 }] }
  const evaluate: Evaluate = ([x = 0, y = 0]) => ({ metrics: { f0: x, f1: y, c: x + y } })
  const folds = foldAll(problem, { ...NSGA2, population: 20, generations: 30, plateau: false }, evaluate)
  t.notOk(
    folds.slice(0, 20).some(({ evaluation }) => evaluation.feasible),
    'none to begin with',
  )
  const { archive } = folds.at(-1)?.checkpoint ?? begin(problem, NSGA2)
  t.ok(archive.length > 5)
  for (const { metrics } of archive) t.ok((metrics.c ?? 0) >= 1.97)
})

t.test('a front that has ceased to grow for ten generations ends nsga2, unless it shall go on', async (t) => {
  const flat: Evaluate = (_point, index) => ({ metrics: { f0: index < 25 ? 2 : 1 } })
  const search = { ...NSGA2, generations: 40 }
  const folds = foldAll(ONE, search, flat)
  t.match(folds.at(-1), { end: 'plateau', completedGeneration: 12 }, 'the last growth was in generation 2')
  t.match(foldAll(ONE, { ...search, plateau: false }, flat).at(-1), { end: 'done', completedGeneration: 39 })
  for (const strategy of ['sweep', 'random'] as const) {
    t.match(foldAll(ONE, { ...search, strategy }, flat).at(-1), { end: 'done', completedGeneration: 39 }, strategy)
  }
  t.match(
    foldAll(ONE, { ...search, generations: 13 }, flat).at(-1),
    { end: 'done', completedGeneration: 12 },
    'the last one is the last one',
  )
})

t.test('a gain of a ten-thousandth is growth, a smaller one is not', async (t) => {
  const growing = (gain: number) => {
    const evaluate: Evaluate = (_point, index) => {
      const generation = Math.floor(index / 10)
      // From the reference, 1 + 0.1 of what is to come at first, the volume grows by this share in each generation.
      return { metrics: { f0: index === 0 ? 1 : 1.1 - 1.1 * (1 + gain) ** generation } }
    }
    return foldAll(ONE, { ...NSGA2, generations: 30 }, evaluate).at(-1)?.end
  }
  t.equal(growing(1.01e-4), 'done')
  t.equal(growing(0.99e-4), 'plateau')
})

t.test('hypervolume is measured from the worst of the first generation that has a front, plus a tenth of its range', async (t) => {
  const problem: Problem = { ...TWO, constraints: [{ metric: 'c', operator: '<=', value: 0 }] }
  const evaluate: Evaluate = (_point, index) => {
    const generation = Math.floor(index / 10)
    if (generation === 0) return { metrics: { f0: 1000, f1: 1000, c: 1 } }
    if (index === 13) return { failure: 'no front of this' }
    return { metrics: { f0: index % 10, f1: 7, c: generation === 1 && index !== 12 ? 1 : 0 } }
  }
  const completed = foldAll(problem, { ...NSGA2, generations: 3 }, evaluate).filter(
    ({ completedGeneration }) => completedGeneration !== null,
  )
  t.same(
    completed.map(({ checkpoint }) => checkpoint.reference),
    [null, [9.9, 7.7], [9.9, 7.7]],
    'of infeasible points as well, of one value a tenth more',
  )
  t.same(
    completed.map(({ hypervolume }) => hypervolume?.toFixed(6) ?? null),
    [null, (7.9 * 0.7).toFixed(6), (9.9 * 0.7).toFixed(6)],
  )
})

t.test('of more than five objectives there is no hypervolume, and no plateau', async (t) => {
  for (const [count, end] of [
    [5, 'plateau'],
    [6, 'done'],
  ] as const) {
    const metrics = Object.fromEntries(minimising(count).map(({ metric }) => [metric, 1]))
    const last = foldAll({ ...TWO, objectives: minimising(count) }, { ...NSGA2, generations: 20 }, () => ({ metrics })).at(-1)
    t.equal(last?.end, end)
    t.equal(last?.hypervolume === null, count === 6)
    t.equal(last?.checkpoint.archive.length, 1)
  }
})

t.test('the front of a full archive is the same in whatever order its points came', async (t) => {
  const search: Search = { strategy: 'random', population: 100, generations: 7, seed: 5 }
  const next = random(1)
  const inOrder = searched(TWO, search, onLine)
  t.equal(inOrder.archive.length, 500)
  const orders = {
    reversed: searched(TWO, search, onLine, { order: (all) => all.toReversed() }),
    shuffled: searched(TWO, search, onLine, {
      order: (all) =>
        all
          .map((one) => ({ one, at: next() }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one),
    }),
  }
  for (const [name, end] of Object.entries(orders)) t.same(end, inOrder, name)
  const gaps = inOrder.archive.map(({ objectives }) => objectives[0] ?? 0).sort((a, b) => a - b)
  t.ok(Math.max(...gaps.slice(1).map((value, i) => value - (gaps[i] ?? 0))) < 0.02, 'and it is thinned out where it was crowded')
})

t.test('a full archive keeps both ends, and does not grow', async (t) => {
  let members: readonly Member[] = []
  for (let index = 0; index < 700; index++) members = enter(members, member(index, [(index * 7919) % 700, -((index * 7919) % 700)])).members
  t.equal(members.length, 500)
  for (const end of [0, 699]) t.ok(members.some(({ objectives }) => objectives[0] === end))
})

t.test('a grid with fewer points than a generation is gone through and hangs nothing', async (t) => {
  const problem: Problem = {
    ...TWO,
    variables: [
      { name: 'only', min: 2, max: 2 },
      { name: 'grid', min: 0, max: 1, step: 0.5 },
    ],
  }
  const seen = new Set(pointsOf(problem, { ...NSGA2, plateau: false }, onLine))
  t.same([...seen].sort(), ['2,0', '2,0.5', '2,1'])
})

t.test('nsga2 does not evaluate a point again while there are others', async (t) => {
  const problem: Problem = { ...TWO, variables: Array.from({ length: 3 }, (_, i) => ({ name: `x${i}`, min: 0, max: 1, step: 0.05 })) }
  const search = { ...NSGA2, population: 30, generations: 2 }
  const points = pointsOf(problem, search, ([x = 0, y = 0, z = 0]) => ({ metrics: { f0: x + z, f1: y + (1 - x) ** 2 } }))
  t.equal(new Set(points).size, 60)
})

t.test('seeds tell searches apart, and the same one repeats', async (t) => {
  for (const strategy of ['nsga2', 'sweep', 'random'] as const) {
    const search = { ...NSGA2, strategy }
    t.same(pointsOf(TWO, search, onLine), pointsOf(TWO, search, onLine), strategy)
    const [first, second] = [1, 2].map((seed) =>
      foldAll(TWO, { ...search, seed }, onLine).map(({ evaluation }) => evaluation.point[0] ?? 0),
    )
    const differences = (first ?? []).map((value, i) => Math.abs(value - (second?.[i] ?? 0)))
    t.ok(differences.reduce((sum, value) => sum + value, 0) / differences.length > 0.1, `${strategy}: neighbours are not alike`)
  }
})

t.test('a checkpoint does not grow with the generations, and keeps no metric that the problem does not name', async (t) => {
  const evaluate: Evaluate = ([x = 0, y = 0]) => ({ metrics: { f0: x, f1: x + y, mass: 3 } })
  const folds = foldAll(TWO, { ...NSGA2, generations: 40, plateau: false }, evaluate)
  t.same(folds[0]?.evaluation.metrics.mass, 3)
  const sizes = folds.map(({ checkpoint }) => JSON.stringify({ ...checkpoint, archive: [] }).length)
  t.ok(Math.max(...sizes) < 1.3 * Math.max(...sizes.slice(0, 30)), `${Math.max(...sizes)}`)
  t.notMatch(JSON.stringify(folds.at(-2)?.checkpoint), 'mass')
  t.same(Object.keys(folds.at(-2)?.checkpoint.parents[0] ?? {}), ['index', 'point', 'objectives', 'violation'])
})

t.test('a point has its values by name', async (t) => {
  t.same(parametersOf(TWO, [0.5, 0.75]), { x0: 0.5, x1: 0.75 })
})
