import t from 'tap'
import { Curves, isSeriesMessage, type SeriesMessage } from '../../src/client/curves.js'
import { type Point, SeriesFold } from '../../src/core/series.js'

const pointsOf = (from: number, n: number): Point[] => Array.from({ length: n - from }, (_, i) => [from + i, (from + i) ** 2])

function part(from: number, n: number, over: Partial<SeriesMessage> = {}): SeriesMessage {
  return { type: 'series', metric_name: 'm', unit: 'J', x: 'step', epoch: 'g.1.1', from, n, k: 1, points: pointsOf(from, n), ...over }
}

function setUp() {
  const asked: [name: string, from: number][] = []
  const curves = new Curves((name, from) => asked.push([name, from]))
  return { curves, asked }
}

t.test('[SERIES-2] a gap is requested once, and the answer fills it', async (t) => {
  const { curves, asked } = setUp()
  t.ok(curves.receive(part(0, 10)))
  const before = curves.view
  t.notOk(curves.receive(part(5, 10)), 'known')
  t.equal(curves.view, before, 'the same view until something changes')
  t.notOk(curves.receive(part(20, 30)))
  t.notOk(curves.receive(part(30, 40)))
  t.same(asked, [['m', 10]])
  t.ok(curves.receive(part(8, 40, { k: 8, points: [], buckets: foldOf(40, 8).part(10).buckets as never })))
  t.same(curves.view.get('m')?.buckets, foldOf(40, 8).buckets())
  t.match(curves.view.get('m'), { metric_name: 'm', unit: 'J', x: 'step', n: 40, k: 8 })
  curves.receive(part(50, 60))
  curves.forgetRequests()
  curves.receive(part(60, 70))
  t.same(asked.slice(1), [
    ['m', 40],
    ['m', 40],
  ])
})

/** A job in an attempt of its first execution, which began at a. */
function phase(over: { attempt?: number; started_at?: string | null; finished_at?: string | null } = {}) {
  return { attempt: 1, started_at: 'a', finished_at: null, ...over }
}

t.test('[SERIES-4] the curves of an earlier attempt or execution go', async (t) => {
  const { curves, asked } = setUp()
  curves.receive(part(0, 10))
  curves.receive(part(0, 5, { metric_name: 'other' }))
  curves.receive(part(0, 3, { epoch: 'g.1.2' }))
  curves.follow(phase(), phase({ attempt: 2 }))
  t.same(
    [...curves.view].map(([name, { n }]) => [name, n]),
    [['m', 3]],
  )
  curves.receive(part(5, 8, { epoch: 'g.1.3' }))
  t.same(asked, [['m', 0]], 'another epoch is another curve')
  const ended = phase({ attempt: 2, finished_at: 'b' })
  curves.follow(phase({ attempt: 2 }), ended)
  t.equal(curves.view.size, 1, 'until the next execution')
  curves.receive(part(0, 1, { metric_name: 'new', epoch: 'g.2.1' }))
  curves.follow(ended, phase({ started_at: null }))
  t.same([...curves.view.keys()], ['new'], 'also one that came before the message')
})

t.test('[SERIES-4] curves of before a cut go with a snapshot of another execution', async (t) => {
  const ended = phase({ finished_at: 'b' })
  for (const [before, after, isKept] of [
    [ended, phase({ started_at: null }), false],
    [ended, phase({ started_at: 'c', finished_at: 'd' }), false],
    [phase(), phase({ started_at: 'c' }), false],
    [phase(), phase({ attempt: 2, finished_at: 'd' }), false],
    [phase(), ended, true],
    [ended, ended, true],
    [phase({ attempt: 2 }), phase({ attempt: 2 }), true],
  ] as const) {
    const { curves } = setUp()
    curves.receive(part(0, 10, { epoch: `g.1.${before.attempt}` }))
    curves.follow(before, after)
    t.equal(curves.view.size, isKept ? 1 : 0, JSON.stringify([before, after]))
  }
})

t.test('a message that is no part of a curve is none', async (t) => {
  t.ok(isSeriesMessage(part(0, 1)))
  for (const message of [{ type: 'status' }, { type: 'series' }, { type: 'series', metric_name: 'm', from: '0', n: 1, k: 1 }])
    t.notOk(isSeriesMessage(message))
})

function foldOf(n: number, k: number): SeriesFold {
  const fold = new SeriesFold()
  fold.raise(k)
  for (const [x, y] of pointsOf(0, n)) fold.add(x, y)
  return fold
}
