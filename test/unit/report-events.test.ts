import t, { type Test } from 'tap'
import { Eta } from '../../src/core/eta.js'
import { processEvents } from '../../src/core/process-events.js'
import { processReportEvents, runReportEvents } from '../../src/core/report-events.js'
import { runEvents } from '../../src/core/run-events.js'
import { jsonValueOf } from '../../src/protocol/json-value.js'

/** What is published of reports that no type keeps from being anything. */
function progressOf(dialect: 'run' | 'process', ...reports: unknown[]): unknown[] {
  if (dialect === 'run') {
    const events = runReportEvents(runEvents, 'r', {})
    return reports.map((at) => events.progress(at as never, 1).message)
  }
  const events = processReportEvents(processEvents('benchmark'), 'b', {})
  return reports.map((at) => events.progress(at as never, 1).message.progress)
}

t.test('[REPORT-4] a progress of a run is clamped and shortened, and never an error', async (t) => {
  const at = { percent: 5, phase: 'solving', message: '' }
  const cases: [reports: unknown[], last: object][] = [
    [[at, { ...at, percent: Number.NaN }], { percent: 5 }],
    [[at, { ...at, percent: Number.POSITIVE_INFINITY }], { percent: 99.9 }],
    [[at, { ...at, percent: -3 }], { percent: 5 }],
    [[{ ...at, percent: -3 }], { percent: 0 }],
    [[at, { ...at, percent: '50' }], { percent: 5 }],
    [[at, { ...at, percent: 10n }], { percent: 5 }],
    [[at, { ...at, phase: 'resting' }], { phase: 'solving' }],
    [[{ ...at, phase: 'resting' }], { phase: 'meshing' }],
    [[{ ...at, message: 'x'.repeat(1001) }], { message: `${'x'.repeat(999)}…` }],
    [[{ ...at, message: `${'x'.repeat(998)}🚀🚀` }], { message: `${'x'.repeat(998)}…` }],
    [[{ ...at, message: 12 }], { message: '12' }],
    [[undefined], { percent: 0, phase: 'meshing', message: '' }],
    [[at, null], { percent: 5, phase: 'solving', message: '' }],
  ]
  for (const [reports, last] of cases) t.match(progressOf('run', ...reports).at(-1), last)
})

t.test('[REPORT-4] a progress in the process dialect too; a total that is not known is null', async (t) => {
  const cases: [reports: unknown[], last: object][] = [
    [
      [
        { current: 50, total: 100 },
        { current: 8, total: 10 },
      ],
      { current: 10, total: 10 },
    ],
    [
      [
        { current: 50, total: 100 },
        { current: 8, total: 10 },
        { current: 9, total: 40 },
      ],
      { current: 10, total: 40 },
    ],
    [
      [
        { current: 50, total: 100 },
        { current: 8, total: 100 },
      ],
      { current: 50, total: 100 },
    ],
    [[{ current: 7, total: 0 }], { current: 7, total: null }],
    [[{ current: 7, total: null }, { current: 8 }], { current: 8, total: null }],
    [[{ current: 7, total: Number.POSITIVE_INFINITY }], { current: 7, total: null }],
    [[{ current: 7, total: -1 }], { current: 7, total: null }],
    [[{ current: 0 / 0, total: 3 }], { current: 0, total: 3 }],
    [[{ current: Number.POSITIVE_INFINITY, total: 3 }], { current: 3, total: 3 }],
    [[{ current: Number.POSITIVE_INFINITY }], { current: 0, total: null }],
    [[{ current: 1, total: 2, detail: 'x'.repeat(1001) }], { detail: `${'x'.repeat(999)}…` }],
    [
      [{ current: 1, total: 2, model: 'm'.repeat(201), phase: 'p'.repeat(65) }],
      { model: `${'m'.repeat(199)}…`, phase: `${'p'.repeat(63)}…` },
    ],
    [[undefined], { current: 0, total: null, detail: '' }],
  ]
  for (const [reports, last] of cases) t.match(progressOf('process', ...reports).at(-1), last)
  t.same(progressOf('process', { current: 1, total: 2, detail: 'd', eta: new Date(0) }), [
    { eta: '1970-01-01T00:00:00.000Z', eta_s: null, step_s: null, current: 1, total: 2, detail: 'd' },
  ])
  t.throws(() => progressOf('process', { current: 1, eta: 1n }), { message: 'progress: /eta: 1n is not a JSON value' })
})

/** The estimates of reports `[share, seconds]` of one attempt, in both dialects. */
function estimates(t: Test, steps: readonly (readonly [share: number, seconds: number])[], eta?: Eta): unknown[] {
  const run = runReportEvents(runEvents, 'r', {}, eta && new Eta(eta.state))
  const process = processReportEvents(processEvents('benchmark'), 'b', {}, eta)
  const runs = steps.map(([share, s]) => run.progress({ percent: 100 * share, phase: 'solving', message: '' }, s).message.eta_s)
  const processes = steps.map(([share, s]) => process.progress({ current: 1000 * share, total: 1000, detail: '' }, s).message.progress)
  t.same(
    runs,
    processes.map((progress) => (progress as { eta_s: unknown }).eta_s),
    'the same in both dialects',
  )
  return runs
}

t.test('[REPORT-6] at constant speed the rest is exact; it is null until it means something', async (t) => {
  t.same(
    estimates(
      t,
      [0, 0.1, 0.2, 0.3, 0.31, 0.5, 0.9, 0.99].map((share) => [share, 1000 * share]),
    ),
    [null, null, null, 700, 690, 500, 100, 10],
  )
  t.same(
    estimates(
      t,
      [0.005, 0.01, 0.015, 0.029, 0.03].map((share) => [share, 1000 * share]),
    ),
    [null, null, null, null, 970],
  )
  const unknown = processReportEvents(processEvents('benchmark'), 'b', {})
  for (const total of [null, 0, -1]) t.match(unknown.progress({ current: 1, total, detail: '' }, 1).message.progress, { eta_s: null })
})

t.test('[REPORT-6] the rest grows in a stall and follows a new speed; a new attempt begins anew', async (t) => {
  const even = [0.1, 0.2, 0.3, 0.4].map((share) => [share, 100 * share] as const)
  const [, , , before, usual, late, later] = estimates(t, [...even, [0.4, 45], [0.4, 70], [0.4, 100]]) as number[]
  t.equal(before, 60)
  t.equal(usual, 60, 'within a usual step')
  t.ok(Number(late) > 60 && Number(later) > Number(late), `${late} ${later}`)
  const slower = [0.5, 0.6, 0.7, 0.8, 0.9].map((share, i) => [share, 40 + 100 * (i + 1)] as const)
  const after = estimates(t, [...even, ...slower]).slice(4) as number[]
  t.ok(after.at(-1) !== undefined && Math.abs(Number(after.at(-1)) - 100) < 10, 'ten times slower: soon the new speed counts')
  t.equal(estimates(t, [[0.5, 1]])[0], null)
  const continued = new Eta(0.3)
  t.same([0.4, 0.5, 0.6].map((share, i) => continued.after(share, i + 1)).at(-1), 4, 'a continued one counts from where it is')
})

t.test('[REPORT-6] a pause does not count, and what is known passes as JSON', async (t) => {
  const eta = new Eta(0)
  t.equal(eta.stepSeconds, null)
  for (const share of [0.1, 0.2, 0.3]) eta.after(share, 100 * share)
  t.equal(eta.stepSeconds, 10, 'the usual step')
  const known = new Eta(JSON.parse(JSON.stringify(eta.state)))
  known.skipTo(1000)
  t.equal(known.after(0.4, 1010), 60)
  known.skipTo(5)
  t.equal(known.after(0.5, 1020), 50)
})

t.test('[REPORT-5] a metric has any name without control characters, and a key without blanks', async (t) => {
  const events = runReportEvents(runEvents, 'r', {})
  const keys: [name: string, key: string][] = [
    ['natural_frequency_hz', 'metric:natural_frequency_hz'],
    ['Q', 'metric:Q'],
    ['max σ / MPa', 'metric:max%20%CF%83%20%2F%20MPa'],
    ['a%20b', 'metric:a%2520b'],
    ['__proto__', 'metric:__proto__'],
    ['🚀'.repeat(128), `metric:${'%F0%9F%9A%80'.repeat(128)}`],
  ]
  for (const [name, key] of keys) t.match(events.metric(name, 1, ''), { key, message: { metric_name: name } })
  for (const name of ['', 'x'.repeat(129), 'a\nb', 'a\u0085b', '\ud800', 7])
    t.throws(() => events.metric(name as string, 1, ''), { name: 'TypeError', message: /^metric_update: \/metric_name / }, String(name))
  t.match(events.metric('m', 1, 'u'.repeat(33)).message, { unit: `${'u'.repeat(31)}…` })
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY, 1n, '1', undefined])
    t.throws(() => events.metric('m', value as number, ''), {
      name: 'TypeError',
      message: /^metric "m": \/value: .* is not a finite number$/,
    })
})

t.test('[REPORT-3] what JSON would lose is refused with path and value, what it converts is converted', async (t) => {
  class Point {
    x = 1
    #hidden = 2
    get sum() {
      return this.x + this.#hidden
    }
  }
  class Copying {
    x = 1
    toJSON() {
      return Object.assign(new Copying(), this)
    }
  }
  const converted: [value: unknown, json: unknown][] = [
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [{ toJSON: () => ({ a: new Date(0) }) }, { a: '1970-01-01T00:00:00.000Z' }],
    [new Copying(), { x: 1 }],
    [{ a: undefined, b: [null, -0, 1e300, 'x', true] }, { b: [null, 0, 1e300, 'x', true] }],
    [new Point(), { x: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [Buffer.from([1]), { type: 'Buffer', data: [1] }],
  ]
  for (const [value, json] of converted) {
    t.same(jsonValueOf(value, 'v'), json)
    t.equal(JSON.stringify(jsonValueOf(value, 'v')), JSON.stringify(value))
  }
  const own = JSON.parse('{"__proto__":{"a":1}}')
  t.equal(JSON.stringify(jsonValueOf(own, 'v')), '{"__proto__":{"a":1}}')
  const shared = { a: 1 }
  t.same(jsonValueOf([shared, shared], 'v'), [{ a: 1 }, { a: 1 }], 'the same twice is no cycle')
  const loop: unknown[] = []
  loop.push(loop)
  const spread = { a: 1, toJSON: () => ({ ...spread }) }
  let deep: unknown = 1
  for (let i = 0; i < 1000; i += 1) deep = [deep]
  const refused: [value: unknown, text: string][] = [
    [Number.NaN, 'v: NaN is not a JSON value'],
    [{ 'a/b': { '~': Number.NEGATIVE_INFINITY } }, 'v: /a~1b/~0: -Infinity is not a JSON value'],
    [[1, undefined], 'v: /1: undefined is not a JSON value'],
    [new Array(2), 'v: /0: undefined is not a JSON value'],
    [spread, 'v: /toJSON: a function is not a JSON value'],
    [{ f: () => 1 }, 'v: /f: a function is not a JSON value'],
    [{ s: Symbol('x') }, 'v: /s: Symbol(x) is not a JSON value'],
    [{ m: new Map() }, 'v: /m: an object of the type Map is not a JSON value'],
    [{ e: new Error('x') }, 'v: /e: an object of the type Error is not a JSON value'],
    [{ a: Float64Array.of(1) }, 'v: /a: an object of the type Float64Array is not a JSON value'],
    [{ d: new Date(Number.NaN) }, 'v: /d: an invalid Date is not a JSON value'],
    [{ p: Promise.resolve() }, 'v: /p: an object of the type Promise is not a JSON value'],
    [loop, 'v: /0: a circular reference is not a JSON value'],
  ]
  for (const [value, message] of refused) t.throws(() => jsonValueOf(value, 'v'), { name: 'TypeError', message })
  t.throws(() => jsonValueOf(deep, 'v'), { message: /nested deeper than 512 levels/ })
})

t.test('[REPORT-3] a result is copied when it is reported', async (t) => {
  const events = processReportEvents(processEvents('benchmark'), 'b', {})
  const row = { i: 1 }
  const first = events.result(row as never)
  row.i = 2
  t.same(first.message.result, { i: 1 })
})
