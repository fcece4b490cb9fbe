import t from 'tap'
import type { Entry } from '../../src/core/entry.js'
import { SeriesFold } from '../../src/core/series.js'
import { checkStints, type Stories } from '../e2e/lifecycle/check-stints.js'
import { CHECKS } from '../e2e/lifecycle/checks.js'
import type { Heard, Told } from '../e2e/lifecycle/heard.js'
import { INPUTS } from '../e2e/lifecycle/inputs.js'
import { type Call, MARK } from '../e2e/lifecycle/ledger.js'
import { FAULT_SORTS, planOf } from '../e2e/lifecycle/plan.js'
import type { JobRecord } from '../e2e/lifecycle/record.js'
import { longScale } from '../e2e/lifecycle/scales.js'
import { TelemetryFold } from '../e2e/lifecycle/telemetry-fold.js'
import type { Curve, Line, Telemetry } from '../e2e/lifecycle/telemetry-record.js'

type Forged = Partial<Entry> & { readonly seq: number; readonly says?: object }

function entry({ seq, says = {}, ...rest }: Forged): Entry {
  const key = rest.to === 'completed' || rest.to === 'failed' || rest.to === 'cancelled' ? 'final' : rest.to ? 'status' : 'metric:f'
  const entryClass = key === 'final' ? 'final' : 'persisted'
  return { id: 'j', generation: 'g', seq, class: entryClass, key, body: Buffer.from(JSON.stringify({ seq, ...says })), ...rest }
}

const metric = (seq: number, value: number) => entry({ seq, key: `metric:m${value}`, says: { metric_name: `m${value}`, value } })
const tick = (seq: number, percent: number, elapsed_s: number) =>
  entry({ seq, class: 'transient', key: 'progress', says: { percent, elapsed_s } })

/** A run that is taken over by a second worker, fails, and is run again by its user. */
const STORY: readonly Entry[] = [
  entry({ seq: 1, to: 'queued' }),
  entry({ seq: 2, to: 'running' }),
  metric(3, 1),
  tick(4, 40, 0.5),
  metric(5, 2),
  entry({ seq: 6, to: 'retrying', clears: 'attempt' }),
  entry({ seq: 7, to: 'running' }),
  tick(8, 10, 0.1),
  metric(9, 1),
  entry({ seq: 10, to: 'failed' }),
  entry({ seq: 11, to: 'queued', clears: 'round' }),
  entry({ seq: 12, to: 'running' }),
  metric(13, 1),
  metric(14, 2),
  entry({ seq: 15, to: 'completed' }),
]

const VIEW = { status: 'completed', attempt: 1, seq: 15, epoch: 'e', final: { seq: 15 } }

/** What clients of it are told: one from the start, one that is cut off after the entry 9. */
const TOLD: readonly Told[] = [
  { type: 'status', seq: 1, recovered: false, epoch: 'e' },
  ...STORY.slice(1, 9).map(({ seq, class: entryClass }) => ({ type: entryClass === 'transient' ? 'progress' : 'metric_update', seq })),
  { type: 'status', seq: 11, recovered: true, epoch: 'e' },
  ...STORY.slice(9).map(({ seq }) => ({ type: 'status', seq })),
]

const NOTHING: Telemetry = { curves: new Map(), lines: { last: 0, kept: new Map() } }

/** What everything looks like where this happened. */
function recordFrom(entries: readonly Entry[], told: readonly Told[] = TOLD, more: Partial<JobRecord> = {}): JobRecord {
  const log = entries.filter((each) => each.class !== 'transient')
  const last = log.at(-1)
  const stored = {
    status: last?.to ?? '',
    round: 1 + log.filter(({ clears }) => clears === 'round').length,
    seq: last?.seq ?? 0,
    persisted: log.length,
  }
  const state = { ...VIEW, status: stored.status, seq: stored.seq, result: { seq: last?.seq } }
  const events = (dialect: 'run' | 'process') =>
    log.filter(({ key }) => dialect === 'run' || !key.startsWith('metric:')).map(({ seq }) => ({ seq }))
  return {
    id: 'j',
    input: 'short run',
    stored,
    log,
    published: entries.map((each) => ({ ...each, line: 0 })),
    rest: { run: { state, events: events('run') }, process: { state, events: events('process') } },
    heard: [{ who: 'somebody', dialect: 'run', told, view: VIEW }],
    ledger: new Map(),
    telemetry: { stored: NOTHING, rest: { ...NOTHING, artifacts: new Map() } },
    ...more,
  }
}

/** A story of metrics without points: one value of each. */
function storyOf(...lines: string[]) {
  const names = lines.map((line) => line.split(' ')[0] ?? '')
  return new Map([[' ', names], ...lines.map((line, i): [string, string[]] => [names[i] ?? '', [line]])])
}

/** The names of the checks that find something. */
function found(record: JobRecord, redisRestarts = 0): string[] {
  const stories: Stories = new Map([['short run', storyOf('m1 1', 'm2 2')]])
  return Object.entries(CHECKS)
    .filter(([, check]) => check(record, { stories, redisRestarts }).length > 0)
    .map(([name]) => name)
}

const without = (...seqs: number[]) => STORY.filter(({ seq }) => !seqs.includes(seq))
const replaced = (other: Entry) => STORY.map((each) => (each.seq === other.seq ? other : each))
const good = recordFrom(STORY)

t.test('a job that went right is found right', async (t) => {
  t.same(found(good), [])
})

t.test('each check of the chaos test finds what it is there for', async (t) => {
  const [FINAL, AFTER, SEQ, BYTES, MACHINE, STORED, REST, WRITER, CLIENTS] = Object.keys(CHECKS)
  const cases: readonly (readonly [string, string | undefined, JobRecord])[] = [
    ['a second final entry', FINAL, recordFrom(replaced(entry({ seq: 9, to: 'failed' })))],
    ['a round without a final entry', FINAL, recordFrom(without(10))],
    ['a round that only the state knows', FINAL, { ...good, stored: { ...good.stored, round: 3 } }],
    ['a measurement after the end', AFTER, recordFrom([...STORY, metric(16, 1)])],
    ['a tick after the end', AFTER, recordFrom([...STORY, tick(16, 99, 9)])],
    ['a seq twice', SEQ, { ...good, log: [...good.log.slice(0, 3), metric(3, 1), ...good.log.slice(3)] }],
    ['a hole in what was published', SEQ, { ...good, published: good.published.filter(({ seq }) => seq !== 4) }],
    ['an entry that was counted and is not there', SEQ, { ...good, stored: { ...good.stored, persisted: 14 } }],
    ['a seq that was counted and is not there', SEQ, { ...good, stored: { ...good.stored, seq: 16 } }],
    ['other bytes in the log', BYTES, { ...good, log: replaced(metric(5, 7)).filter((each) => each.class !== 'transient') }],
    ['a tick in the log', BYTES, { ...good, log: [...STORY] }],
    ['a start out of nothing', MACHINE, recordFrom(without(11))],
    ['another state than the last event', STORED, { ...good, stored: { ...good.stored, status: 'failed' } }],
    ['REST with another state', STORED, { ...good, rest: { ...good.rest, run: { state: { ...VIEW, seq: 14 }, events: [] } } }],
    ['REST without an entry', REST, { ...good, rest: { ...good.rest, run: { state: good.rest.run?.state, events: [{ seq: 1 }] } } }],
    ['a zombie that measures', WRITER, recordFrom(replaced(metric(9, 2)))],
    ['a zombie that measures what came already', WRITER, recordFrom(replaced(metric(14, 1)))],
    ['a zombie whose bar falls', WRITER, recordFrom(replaced(tick(8, 10, 0.1)).toSpliced(8, 0, { ...tick(8, 5, 0.2) }))],
    ['a zombie with another clock', WRITER, recordFrom(STORY.map((each) => (each.seq === 9 ? tick(9, 20, 0.05) : each)))],
    ['a measurement while nobody runs it', WRITER, recordFrom(replaced(entry({ seq: 12, to: 'queued' })))],
    ['an end before the story is told', WRITER, recordFrom(without(14))],
    ['a client that is told something twice', CLIENTS, recordFrom(STORY, [...TOLD.slice(0, 3), ...TOLD.slice(2)])],
    [
      'a client that misses something',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.toSpliced(3, 1).filter(({ seq }) => seq !== 5),
      ),
    ],
    ['a client that is told in another order', CLIENTS, recordFrom(STORY, TOLD.toSpliced(4, 2, ...TOLD.slice(4, 6).toReversed()))],
    ['a client that is told what never was', CLIENTS, recordFrom(STORY, [...TOLD, { type: 'metric_update', seq: 16 }])],
    [
      'a client that had to begin anew',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.map((told) => (told.seq === 11 && told.recovered ? { ...told, recovered: false } : told)),
      ),
    ],
    [
      'a client with another count',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.map((told) => (told.recovered ? { ...told, epoch: 'other' } : told)),
      ),
    ],
    [
      'a client that sees another state in the end',
      CLIENTS,
      recordFrom(STORY, TOLD, { heard: [{ who: 'x', dialect: 'run', told: TOLD, view: { ...VIEW, status: 'failed' } }] }),
    ],
    [
      'a client without the final message',
      CLIENTS,
      recordFrom(STORY, TOLD, { heard: [{ who: 'x', dialect: 'run', told: TOLD, view: { ...VIEW, final: null } }] }),
    ],
  ]
  for (const [what, name, record] of cases) t.ok(found(record).includes(name ?? ''), `${what}: ${found(record)}`)
})

t.test('what is right only because Redis was started anew is right only then', async (t) => {
  const anew = TOLD.map((told) => (told.recovered ? { ...told, recovered: false, epoch: 'other' } : told))
  t.same(found(recordFrom(STORY, anew), 1), [])
  t.not(found(recordFrom(STORY, anew), 0).length, 0)
  const entries = TOLD.filter(({ recovered }) => recovered === undefined)
  const againIn = (epoch: string) => entries.map((told, i) => (i === 0 ? { ...told, epoch } : told))
  t.same(found(recordFrom(STORY, [...TOLD, ...againIn('other')]), 1), [], 'from its log, in a new epoch')
  t.not(found(recordFrom(STORY, [...TOLD, ...againIn('other')]), 0).length, 0)
  t.not(found(recordFrom(STORY, [...TOLD, ...againIn('e')]), 1).length, 0)
})

t.test('the story of an input is the longest one that was told', async (t) => {
  const stories: Stories = new Map()
  t.same(checkStints(good, stories), [])
  t.same(stories.get('short run'), storyOf('m1 1', 'm2 2'))
  t.not(checkStints(recordFrom(without(13, 14)), stories).length, 0)
})

const point = (seq: number, n: number, value: number) =>
  entry({ seq, key: `metric:${MARK}`, says: { metric_name: MARK, value, step: n - 1, n } })
/** An execution that fails, and another one by two workers. Each of the three computations reports three points and lines. */
const TELLING: readonly Entry[] = [
  entry({ seq: 1, to: 'queued' }),
  entry({ seq: 2, to: 'running' }),
  point(3, 2, 7 * 16_384 + 1),
  entry({ seq: 4, to: 'failed' }),
  entry({ seq: 5, to: 'queued', clears: 'round' }),
  entry({ seq: 6, to: 'running' }),
  point(7, 1, 8 * 16_384),
  entry({ seq: 8, to: 'queued' }),
  entry({ seq: 9, to: 'running' }),
  point(10, 4, 9 * 16_384 + 2),
  entry({ seq: 11, to: 'completed' }),
]

function callOf(call: number, acknowledged: number, hasReturned: boolean): Call {
  const points = [0, 1, 2].map((i) => [i, call * 16_384 + i] as const)
  const lines = [0, 1, 2].map((i) => `${call} ${i} text`)
  return {
    points: new Map([[MARK, points]]),
    lines,
    acknowledged: { points: { [MARK]: acknowledged }, lines: acknowledged },
    artifacts: 0,
    hasReturned,
  }
}

const LEDGER = new Map([
  [7, callOf(7, 2, false)],
  [8, callOf(8, 1, false)],
  [9, callOf(9, 0, true)],
])
const line = (text: string): Line => ({ text, timestamp: 'now' })
const KEPT = new Map(['8 0 text', '9 0 text', '9 1 text', '9 2 text'].map((text, i) => [i + 1, line(text)]))
const bucketOf = (x: number, value: number) => [x, x, value, value, value, value, 1]
const BUCKETS = [bucketOf(0, 8 * 16_384), ...[0, 1, 2].map((i) => bucketOf(i, 9 * 16_384 + i))]
const CURVE: Curve = { unit: '', x: 'step', n: 4, k: 1, buckets: BUCKETS }
const TOLD_BY: Telemetry = { curves: new Map([[MARK, CURVE]]), lines: { last: 4, kept: KEPT } }

const FILES = new Map([['a.csv', 'digest']])

/** A job of `TELLING`: what Redis, REST and a client have of its log and curves. */
function telling(
  stored: Telemetry,
  { rest = stored, seen = stored, files = FILES, isComplete = true, entries = TELLING, ledger = LEDGER } = {},
) {
  const heard: Heard = { who: 'somebody', dialect: 'run', told: [], view: null, telemetry: { ...seen, artifacts: files, isComplete } }
  return recordFrom(entries, [], { telemetry: { stored, rest: { ...rest, artifacts: FILES } }, ledger, heard: [heard] })
}

const withCurve = (curve: Partial<Curve>): Telemetry => ({ ...TOLD_BY, curves: new Map([[MARK, { ...CURVE, ...curve }]]) })
const withLines = (lines: readonly (readonly [number, string])[], last = lines.at(-1)?.[0] ?? 0): Telemetry => {
  return { ...TOLD_BY, lines: { last, kept: new Map(lines.map(([n, text]) => [n, line(text)])) } }
}

t.test('each check of log and curves finds what it is there for', async (t) => {
  const [CURVES, LINES, ENDS] = Object.keys(CHECKS).slice(-3)
  const of = (record: JobRecord) => found(record).filter((name) => [CURVES, LINES, ENDS].includes(name))
  t.same(of(telling(TOLD_BY)), [])
  const folded = {
    k: 2,
    buckets: [
      [0, 0, 131_072, 131_072, 147_456, 147_456, 2],
      [1, 2, 147_457, 147_457, 147_458, 147_458, 2],
    ],
  }
  t.same(of(telling(withCurve(folded))), [], 'in larger buckets')
  t.same(
    of(
      telling(
        withLines([
          [3, '9 1 text'],
          [4, '9 2 text'],
        ]),
      ),
    ),
    [],
    'without what was dropped at the front',
  )
  const withOwn = [...[...KEPT].map(([n, { text }]) => [n, text] as const), [5, 'not stored: lost'] as const]
  t.same(of(telling(withLines(withOwn))), [], 'with a line of the worker itself')
  const second = TELLING.toSpliced(9, 1, point(10, 3, 9 * 16_384 + 1))
  const cases: readonly (readonly [string, string | undefined, JobRecord])[] = [
    ['a curve without a point', CURVES, telling(withCurve({ n: 3, buckets: BUCKETS.slice(0, 3) }))],
    ['a curve with a point of an earlier execution', CURVES, telling(withCurve({ n: 5, buckets: [bucketOf(0, 7 * 16_384), ...BUCKETS] }))],
    ['a curve with another value', CURVES, telling(withCurve({ buckets: [...BUCKETS.slice(0, 3), bucketOf(2, 1)] }))],
    ['a curve with another x', CURVES, telling(withCurve({ buckets: [...BUCKETS.slice(0, 3), bucketOf(3, 9 * 16_384 + 2)] }))],
    [
      'a bucket that lost its greatest value',
      CURVES,
      telling(withCurve({ ...folded, buckets: [[0, 0, 131_072, 131_072, 131_072, 147_456, 2]] })),
    ],
    ['no curve', CURVES, telling({ ...TOLD_BY, curves: new Map() })],
    ['a curve that nobody reported', CURVES, telling({ ...TOLD_BY, curves: new Map([...TOLD_BY.curves, ['other', CURVE]]) })],
    ['an end before all was stored', CURVES, telling(withCurve({ n: 3, buckets: BUCKETS.slice(0, 3) }), { entries: second })],
    ['an acknowledged point that is gone', CURVES, telling(TOLD_BY, { ledger: new Map([...LEDGER, [7, callOf(7, 3, false)]]) })],
    ['two computations at once', CURVES, telling(TOLD_BY, { entries: TELLING.toSpliced(7, 2) })],
    ['a computation that nobody began', CURVES, telling(TOLD_BY, { ledger: new Map([...LEDGER].slice(1)) })],
    [
      'a log with a gap',
      LINES,
      telling(
        withLines([
          [1, '8 0 text'],
          [3, '9 1 text'],
          [4, '9 2 text'],
        ]),
      ),
    ],
    [
      'a log without its end',
      LINES,
      telling(
        withLines([
          [1, '8 0 text'],
          [2, '9 0 text'],
          [3, '9 1 text'],
        ]),
      ),
    ],
    [
      'a log whose last lines are not there',
      LINES,
      telling(
        withLines(
          [...KEPT].map(([n, { text }]) => [n, text] as const),
          5,
        ),
      ),
    ],
    [
      'a line of an earlier execution',
      LINES,
      telling(
        withLines([
          [1, '7 0 text'],
          [2, '9 0 text'],
          [3, '9 1 text'],
          [4, '9 2 text'],
        ]),
      ),
    ],
    [
      'a line twice',
      LINES,
      telling(
        withLines([
          [1, '8 0 text'],
          [2, '9 0 text'],
          [3, '9 0 text'],
          [4, '9 1 text'],
          [5, '9 2 text'],
        ]),
      ),
    ],
    [
      'a line that nobody wrote',
      LINES,
      telling(
        withLines([
          [1, '8 9 text'],
          [2, '9 0 text'],
          [3, '9 1 text'],
          [4, '9 2 text'],
        ]),
      ),
    ],
    [
      'a line of a worker that was replaced',
      LINES,
      telling(
        withLines([
          [1, '8 0 text'],
          [2, '9 0 text'],
          [3, '8 1 text'],
          [4, '9 1 text'],
          [5, '9 2 text'],
        ]),
      ),
    ],
    [
      'an acknowledged line that is gone',
      LINES,
      telling(
        withLines([
          [1, '9 0 text'],
          [2, '9 1 text'],
          [3, '9 2 text'],
        ]),
      ),
    ],
    [
      'a number that is too high',
      LINES,
      telling(
        withLines([
          [8, '9 1 text'],
          [9, '9 2 text'],
        ]),
      ),
    ],
    ['REST with another curve', ENDS, telling(TOLD_BY, { rest: withCurve({ n: 3 }) })],
    ['REST without a line', ENDS, telling(TOLD_BY, { rest: withLines([[4, '9 2 text']]) })],
    ['a client with another curve', ENDS, telling(TOLD_BY, { seen: withCurve({ buckets: BUCKETS.toReversed() }) })],
    [
      'a client with a curve of before',
      ENDS,
      telling(TOLD_BY, { seen: { ...TOLD_BY, curves: new Map([...TOLD_BY.curves, ['old', CURVE]]) } }),
    ],
    [
      'a client without a line',
      ENDS,
      telling(TOLD_BY, {
        seen: withLines([
          [1, '8 0 text'],
          [2, '9 0 text'],
          [4, '9 2 text'],
        ]),
      }),
    ],
    [
      'a client with lines of before',
      ENDS,
      telling(TOLD_BY, { seen: withLines([[0, '7 0 text'], ...[...KEPT].map(([n, { text }]) => [n, text] as const)]) }),
    ],
    ['a client with another file', ENDS, telling(TOLD_BY, { files: new Map([['a.csv', 'other']]) })],
    ['a client without a file', ENDS, telling(TOLD_BY, { files: new Map() })],
    ['a client that waits for the end of the log', ENDS, telling(TOLD_BY, { isComplete: false })],
  ]
  for (const [what, name, record] of cases) t.ok(of(record).includes(name ?? ''), `${what}: ${of(record)}`)
})

t.test('the client of the chaos test folds log and curves as Redis does', async (t) => {
  const faults: string[] = []
  const asked: unknown[] = []
  const fold = new TelemetryFold({ ask: (name, from) => asked.push([name, from]), onFault: (fault) => faults.push(fault) })
  const head = { type: 'series', metric_name: 'm', unit: '', x: 'step', epoch: 'g.1.1' }
  const all = new SeriesFold({ maxBuckets: 4 })
  for (let from = 0; from < 21; from = all.n) {
    const points = Array.from({ length: 1 + (from % 3) }, (_, i) => [from + i, ((from + i) * 5) % 7] as const)
    for (const [x, y] of points) all.add(x, y)
    t.ok(fold.receive({ ...head, from, n: all.n, k: all.k, points }))
    const { n, k, buckets } = fold.telemetry.curves.get('m') ?? CURVE
    t.same({ n, k, buckets }, { n: all.n, k: all.k, buckets: all.buckets() })
  }
  fold.receive({ ...head, from: 30, n: 31, k: 8, points: [[30, 1]] })
  t.same(asked, [['m', all.n]])
  fold.entered('retrying', 2)
  t.equal(fold.telemetry.curves.size, 0)
  const lines = ['a', 'b'].map(line)
  fold.receive({ type: 'log', epoch: 'g.1', first: 3, lines })
  fold.receive({ type: 'log', epoch: 'g.1', first: 4, lines, end: true })
  t.same(
    [...fold.telemetry.lines.kept].map(([n, { text }]) => `${n}${text}`),
    ['3a', '4b', '5b'],
  )
  t.equal(fold.query, 'log=1&series=1&log_after=5&log_epoch=g.1')
  t.ok(fold.isComplete)
  t.same(faults, [])
})

t.test('what a chaos run does comes from its seed alone', async (t) => {
  const scale = longScale(600)
  t.same(planOf(7, scale), planOf(7, scale))
  t.not(JSON.stringify(planOf(7, scale)), JSON.stringify(planOf(8, scale)))
  t.same(new Set(planOf(7, scale).faults.map(({ sort }) => sort)), new Set(FAULT_SORTS), 'and meets everything in the end')
  t.same(new Set(planOf(7, scale).jobs.map(({ input }) => input)), new Set(Object.keys(INPUTS)))
})
