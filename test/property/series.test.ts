import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Bucket, bucketsOf, MAX_BUCKETS, MAX_PART_BUCKETS, type Point, SeriesFold, type SeriesPart } from '../../src/core/series.js'
import { check } from './check.js'

/** Without -0, which JSON does not keep. */
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0)
const points: fc.Arbitrary<Point[]> = fc.array(fc.tuple(number, number), { maxLength: 600, size: 'max' })
const splits = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 600, maxLength: 600 })
const limits = fc.record({ whole: fc.integer({ min: 2, max: 40 }), part: fc.integer({ min: 2, max: 8 }) })

/** The buckets of these points by the definition. */
function definedBuckets(all: readonly Point[], k: number): Bucket[] {
  return Array.from({ length: Math.ceil(all.length / k) }, (_, i) => {
    const own = all.slice(i * k, (i + 1) * k)
    const [first = [0, 0], last = [0, 0]] = [own[0], own.at(-1)]
    const ys = own.map(([, y]) => y)
    return [first[0], last[0], first[1], Math.min(...ys), Math.max(...ys), last[1], own.length]
  })
}

/** The parts that a worker sends of these points. */
function partsOf(all: readonly Point[], sizes: readonly number[], maxBuckets: number): SeriesPart[] {
  const parts: SeriesPart[] = []
  for (let from = 0, i = 0; from < all.length; i += 1) {
    const fold = new SeriesFold({ start: from, maxBuckets })
    const own = all.slice(from, from + (sizes[i] ?? 1))
    for (const [x, y] of own) fold.add(x, y)
    const single = fold.points()
    parts.push(single ? { from, n: fold.n, k: fold.k, points: single } : fold.part())
    from += own.length
  }
  return parts
}

t.test('[SERIES-1] the fold of any parts is the fold of all points', async (t) => {
  const property = fc.property(points, splits, limits, (all, sizes, { whole, part }) => {
    const fold = new SeriesFold({ maxBuckets: whole })
    const parts = partsOf(all, sizes, part)
    for (const one of parts) deepEqual(fold.fold(one), 'applied')
    deepEqual([fold.n, fold.buckets()], [all.length, definedBuckets(all, fold.k)])
    deepEqual(bucketsOf(fold.bytes()), fold.buckets())
    for (const one of parts) deepEqual(fold.fold(one), 'known')
  })
  await check(t, 'series-fold', property, 300)
})

t.test('[SERIES-2] a reader that misses parts catches up from its last point', async (t) => {
  const property = fc.property(points, splits, limits, fc.infiniteStream(fc.boolean()), (all, sizes, { whole, part }, isLost) => {
    const store = new SeriesFold({ maxBuckets: whole })
    const reader = new SeriesFold({ maxBuckets: Number.POSITIVE_INFINITY })
    for (const one of partsOf(all, sizes, part)) {
      store.fold(one)
      const live = { ...one, k: store.k }
      if (isLost.next().value) continue
      if (reader.fold(live) === 'gap') deepEqual(reader.fold(store.part(reader.n)), 'applied')
      deepEqual([reader.n, reader.k, reader.buckets()], [store.n, store.k, store.buckets()])
      deepEqual(reader.fold(live), 'known')
    }
    reader.fold(store.part(reader.n))
    deepEqual([reader.n, reader.k, reader.buckets()], [store.n, store.k, store.buckets()])
  })
  await check(t, 'series-reader', property, 300)
})

t.test('[SERIES-1] a million points fit into 2,000 exact buckets', async (t) => {
  const all = Array.from({ length: 1_000_000 }, (_, i): Point => [i, Math.sin(i / 1000) * i])
  const fold = new SeriesFold()
  for (const [x, y] of all) fold.add(x, y)
  t.equal(fold.k, 512)
  t.ok(fold.size <= MAX_BUCKETS)
  t.same(fold.buckets(), definedBuckets(all, 512))
  t.ok(partsOf(all.slice(0, 5000), [5000], MAX_PART_BUCKETS).every(({ buckets = [] }) => buckets.length <= MAX_PART_BUCKETS))
})
