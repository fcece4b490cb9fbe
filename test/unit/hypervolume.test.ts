import t from 'tap'
import { hypervolume } from '../../workers/optimization/hypervolume.js'
import { random } from '../support/random.js'

type Point = readonly number[]

function points(next: () => number, count: number, objectives: number): number[][] {
  return Array.from({ length: count }, () => Array.from({ length: objectives }, next))
}

function pointsIn(text: string): number[][] {
  return text === '' ? [] : text.split(', ').map((point) => point.split(' ').map(Number))
}

/** The corner (1, 1, …). */
function ones(objectives: number): number[] {
  return Array.from({ length: objectives }, () => 1)
}

/** By inclusion and exclusion over all subsets: the boxes of a subset have in common the box of its worst values. */
function byInclusionExclusion(all: readonly Point[], reference: Point): number {
  let total = 0
  for (let subset = 1; subset < 2 ** all.length; subset++) {
    const chosen = all.filter((_, i) => (subset >> i) & 1)
    const common = reference.reduce(
      (product, end, k) => product * Math.max(0, end - Math.max(...chosen.map((point) => point[k] ?? end))),
      1,
    )
    total += chosen.length % 2 === 1 ? common : -common
  }
  return total
}

/** A share of darts between the origin and the corner (1, 1, …) that hit what is dominated. */
function byDarts(all: readonly Point[], objectives: number, darts: number, next: () => number): number {
  let hits = 0
  for (let i = 0; i < darts; i++) {
    const dart = Array.from({ length: objectives }, next)
    if (all.some((point) => point.every((value, k) => value <= (dart[k] ?? 0)))) hits++
  }
  return hits / darts
}

t.test('the hypervolume of a few points is what one computes by hand', async (t) => {
  const cases: [front: string, reference: number[], expected: number][] = [
    ['', [1, 1], 0],
    ['2, 3', [10], 8],
    ['1 1', [3, 4], 6],
    ['0 2, 1 1, 2 0', [3, 3], 6],
    ['0 0 0', [1, 2, 3], 6],
    ['0 1 1, 1 0 1, 1 1 0', [2, 2, 2], 4],
    ['-5 1, 1 -5', [2, 2], 13],
  ]
  for (const [front, reference, expected] of cases) t.equal(hypervolume(pointsIn(front), reference), expected, front)
})

t.test('what does not lie before the reference point, is dominated or there twice adds nothing', async (t) => {
  const front = pointsIn('0.2 0.5, 0.5 0.2')
  const volume = hypervolume(front, [1, 1])
  for (const more of pointsIn('1 0, 0 1, 0.1 1.5, 1.5 0.1, 0.6 0.6, 0.5 0.2')) t.equal(hypervolume([...front, more], [1, 1]), volume)
  t.equal(hypervolume([[2, 2]], [1, 1]), 0, 'nor do two negative lengths make a volume')
})

for (const objectives of [1, 2, 3, 4, 5]) {
  t.test(`in ${objectives} objectives it is the one of inclusion and exclusion`, async (t) => {
    const next = random(objectives)
    for (let round = 0; round < 60; round++) {
      const all = points(next, 1 + (round % 9), objectives)
      // Every third time on a coarse grid, where points share values and are there twice.
      const front = round % 3 === 0 ? all.map((point) => point.map((value) => Math.round(value * 3) / 4)) : all
      const expected = byInclusionExclusion(front, ones(objectives))
      t.ok(Math.abs(hypervolume(front, ones(objectives)) - expected) < 1e-12, `${JSON.stringify(front)}: ${expected}`)
    }
  })
}

for (const objectives of [2, 3, 4]) {
  t.test(`in ${objectives} objectives, of a front too large for that, it is the one of darts`, async (t) => {
    const next = random(10 + objectives)
    const onSphere = points(next, 60, objectives).map((point) => point.map((value) => 1 - value / Math.hypot(...point)))
    const darts = 40_000
    const share = byDarts(onSphere, objectives, darts, next)
    const deviation = Math.sqrt((share * (1 - share)) / darts)
    t.ok(Math.abs(hypervolume(onSphere, ones(objectives)) - share) < 4 * deviation, `${share} ± ${deviation}`)
  })
}
