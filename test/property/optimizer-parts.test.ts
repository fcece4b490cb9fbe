import { deepStrictEqual as deepEqual, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { enter, settle } from '../../workers/optimization/archive.js'
import { crowdingDistances, spread } from '../../workers/optimization/crowding.js'
import { nonDominatedFronts } from '../../workers/optimization/dominance.js'
import type { Individual, Member } from '../../workers/optimization/problem.js'
import { frozen, isBetter, member } from '../support/search.js'
import { check } from './check.js'

type Point = readonly number[]

/** Few values, so that points are often equal in one objective, or in all. */
const objectivesOf = (count: number) => fc.array(fc.integer({ min: 0, max: 6 }), { minLength: count, maxLength: count })
const pointSets = (maxLength: number) =>
  fc.integer({ min: 1, max: 4 }).chain((count) => fc.array(objectivesOf(count), { minLength: 1, maxLength }))

function beats(a: Individual, b: Individual): boolean {
  const rank = ({ violation }: Individual) => (violation === null ? 2 : violation > 0 ? 1 : 0)
  if (rank(a) !== rank(b)) return rank(a) < rank(b)
  if (rank(a) === 1) return (a.violation ?? 0) < (b.violation ?? 0)
  return rank(a) === 0 && isBetter(a.objectives ?? [], b.objectives ?? [])
}

/** For each objective: before and behind whom a point stands, the earlier of equals first. */
function crowdingByDefinition(points: readonly Point[], i: number): number {
  const self = points[i] ?? []
  return self.reduce((total, value, k) => {
    const others = points.map((point, j) => ({ value: point[k] ?? 0, j })).filter(({ j }) => j !== i)
    const before = others.filter((other) => other.value < value || (other.value === value && other.j < i)).map((other) => other.value)
    const behind = others.filter((other) => other.value > value || (other.value === value && other.j > i)).map((other) => other.value)
    if (before.length === 0 || behind.length === 0) return Number.POSITIVE_INFINITY
    const all = points.map((point) => point[k] ?? 0)
    const range = Math.max(...all) - Math.min(...all)
    return range === 0 ? total : total + (Math.min(...behind) - Math.max(...before)) / range
  }, 0)
}

function indexesOf(members: readonly Member[]): number[] {
  return members.map(({ index }) => index)
}

t.test('a non-dominated sort gives the fronts that peeling gives', async (t) => {
  const individual = fc.record({
    objectives: fc.option(objectivesOf(2), { freq: 8 }),
    violation: fc.option(fc.constantFrom(0, 0, 0, 0.5, 1), { freq: 8 }),
  })
  const property = fc.property(fc.array(individual, { maxLength: 30 }), (drawn) => {
    const all = drawn.map(
      ({ objectives, violation }, index): Individual => ({ index, point: [], objectives, violation: objectives && violation }),
    )
    const expected: Individual[][] = []
    for (let left = all; left.length > 0; left = left.filter((one) => !expected.at(-1)?.includes(one))) {
      expected.push(left.filter((one) => !left.some((other) => beats(other, one))))
    }
    deepEqual(nonDominatedFronts(all), expected)
  })
  await check(t, 'optimizer-fronts', property, 500)
})

t.test('crowding distances are those of the definition', async (t) => {
  const property = fc.property(pointSets(25), (points) => {
    const distances = crowdingDistances(points)
    for (const [i, distance] of distances.entries()) {
      const expected = crowdingByDefinition(points, i)
      ok(distance === expected || Math.abs(distance - expected) < 1e-12, `${i}: ${distance}, not ${expected}`)
    }
  })
  await check(t, 'optimizer-crowding', property, 500)
})

/** Every value is a sum of the same few quotients, in another order perhaps: so much less than another is less. */
const CLEARLY = 1e-9

t.test('points are thinned out one by one, each time where they stand closest', async (t) => {
  const property = fc.property(pointSets(20), fc.integer({ min: 1, max: 20 }), (points, limit) => {
    const left = spread(points, limit)
    ok(left.length === Math.min(limit, points.length))
    // One more place: whoever has it is the last that went.
    if (left.length === points.length) return
    const before = spread(points, limit + 1)
    const [gone = -1, ...others] = before.filter((i) => !left.includes(i))
    deepEqual([others, left.filter((i) => !before.includes(i))], [[], []])
    const present = before.map((i) => points[i] ?? [])
    const distance = (i: number) => crowdingByDefinition(present, before.indexOf(i))
    for (const i of left) ok(distance(gone) < distance(i) + CLEARLY || distance(gone) === distance(i))
    for (const i of left) if (i > gone) ok(distance(gone) < distance(i), 'of several the last goes')
  })
  await check(t, 'optimizer-spread', property, 500)
})

t.test('an archive holds who is not dominated, of equals the first, and says whether it changed', async (t) => {
  const property = fc.property(pointSets(30), (points) => {
    let members: readonly Member[] = []
    for (const [index, objectives] of points.entries()) {
      const before = members
      members = enter(frozen(before), member(index, objectives)).members
      const seen = points.slice(0, index + 1)
      const isIn = (point: Point, i: number) =>
        !seen.some((other, j) => isBetter(other, point) || (j < i && other.every((value, k) => value === point[k])))
      deepEqual(
        indexesOf(members),
        [...seen.keys()].filter((i) => isIn(seen[i] ?? [], i)),
      )
      ok((members === before) === (indexesOf(members).join() === indexesOf(before).join()))
    }
  })
  await check(t, 'optimizer-archive', property, 500)
})

t.test('a full archive lets the most crowded one go, or does not change', async (t) => {
  const property = fc.property(
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 25 }),
    fc.integer({ min: 1, max: 8 }),
    (values, limit) => {
      let members: readonly Member[] = []
      for (const [index, value] of values.entries()) {
        const newcomer = member(index, [value, 1 - value])
        const entered = enter(members, newcomer, limit)
        const unlimited = enter(members, newcomer).members
        const kept = spread(
          unlimited.map(({ objectives }) => objectives),
          limit,
        )
        deepEqual(
          indexesOf(entered.members),
          kept.map((i) => unlimited[i]?.index),
        )
        ok(entered.members === members || entered.members.includes(newcomer))
        deepEqual(
          entered.evicted,
          entered.members === members ? [] : unlimited.filter((one) => !entered.members.includes(one)),
          'who had to go is told',
        )
        members = entered.members
      }
    },
  )
  await check(t, 'optimizer-full-archive', property, 500)
})

t.test('a settled archive does not depend on the order of its newcomers', async (t) => {
  const shuffledPoints = pointSets(25).chain((points) =>
    fc.record({
      points: fc.constant(points),
      order: fc.shuffledSubarray([...points.keys()], { minLength: points.length }),
      limit: fc.integer({ min: 1, max: 12 }),
    }),
  )
  const property = fc.property(shuffledPoints, ({ points, order, limit }) => {
    const members = points.map((objectives, index) => member(index, objectives))
    const inOrder = members.reduce<readonly Member[]>((archive, newcomer) => enter(archive, newcomer).members, [])
    const shuffled = order.flatMap((i) => members[i] ?? [])
    deepEqual(settle([], shuffled), inOrder)
    deepEqual(settle([], shuffled, limit), settle([], members, limit))
    ok(settle([], members, limit).length === Math.min(limit, inOrder.length))
  })
  await check(t, 'optimizer-settle', property, 500)
})
