import t from 'tap'
import type { JobEvent, Writer } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { bucketsOf, type Point } from '../../src/core/series.js'
import type { SeriesTelemetry } from '../../src/core/series-telemetry.js'
import type { Telemetry } from '../../src/core/telemetry.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { RuncastError } from '../../src/protocol/codes.js'
import type { Heartbeats, Publisher, Rejected, Written } from '../../src/storage/broker.js'
import { JobContext } from '../../src/worker/job-context.js'
import type { Reports } from '../../src/worker/processor.js'
import { Stop } from '../../src/worker/processor.js'
import { reportsOf } from '../../src/worker/reports.js'
import { eventually } from '../support/eventually.js'

interface Write {
  readonly events: readonly JobEvent[]
  readonly telemetry: readonly Telemetry[]
  readonly writer: Writer
  readonly at: number
}

interface PointsReport extends SeriesTelemetry {
  readonly body: { readonly points?: readonly Point[]; readonly step?: number; readonly value: number }
}

/** Stops `performance.now()` until the returned function is called. */
function freezeClock(): () => void {
  const now = performance.now()
  const frozen = Object.defineProperty(performance, 'now', { value: () => now, configurable: true })
  return () => Reflect.deleteProperty(frozen, 'now')
}

/** A context whose publisher records each write and returns what `answer` gives for it. */
function setUp(
  answer: (write: Write) => Written | Rejected | Error = () => ({ ok: true, seq: 1, status: 'running' }),
  options: { unreachableMs?: number; metricIntervalMs?: number } = {},
) {
  const writes: Write[] = []
  let underWay = 0
  let mostUnderWay = 0
  const publisher: Publisher & Heartbeats = {
    heartbeat: async () => ({ ok: true, seq: 1, status: 'running' }),
    publish: async (_id, events, writer, telemetry = []) => {
      underWay += 1
      mostUnderWay = Math.max(mostUnderWay, underWay)
      const write = { events, telemetry, writer, at: Date.now() }
      writes.push(write)
      await new Promise((resolve) => setImmediate(resolve))
      underWay -= 1
      const answered = answer(write)
      if (answered instanceof Error) throw answered
      return answered
    },
  }
  const plain = new JobContext({ id: 'j', publisher, writer: { round: 1, token: 7, n: 0 }, metricIntervalMs: 0, ...options })
  const context = Object.assign(plain, reportsOf(runKind, plain, {}))
  const points = () =>
    writes.flatMap(({ telemetry }) => telemetry.flatMap((report) => (report.reducer === 'series' ? [report as PointsReport] : [])))
  return { context, writes, points, mostUnderWay: () => mostUnderWay, events: () => writes.flatMap(({ events }) => events) }
}

const tick = (context: Reports['run'], percent: number) => context.progress({ percent, phase: 'solving', message: `${percent}` })

t.test('[STATE-3] one write at a time, each with the next number', async (t) => {
  const { context, writes, mostUnderWay } = setUp()
  for (let i = 0; i < 500; i += 1) {
    context.metric(`m${i % 7}`, i, 'Hz')
    if (i % 50 === 0) await context.flush()
  }
  await context.close()
  t.equal(mostUnderWay(), 1)
  t.same(
    writes.map(({ writer }) => writer.n),
    writes.map((_, i) => i + 1),
  )
  t.ok(writes.every(({ writer }) => writer.round === 1 && writer.token === 7))
})

t.test('[SERIES-3] points that come together leave in one message, the first one at once', async (t) => {
  const { context, writes, points, events } = setUp(undefined, { metricIntervalMs: 100 })
  const release = freezeClock()
  context.metric('m', 0, { unit: 'Hz', step: 7 })
  await eventually(() => writes.length === 1)
  for (let i = 1; i < 600; i += 1) context.metric('m', i, { unit: 'Hz', step: 7 + i })
  context.metric('other', 1, 'mm')
  await eventually(() => writes.length === 2)
  t.match(events(), [{ message: { metric_name: 'm', value: 0, step: 7 } }, { message: { metric_name: 'other', value: 1 } }])
  release()
  await eventually(() => writes.length === 3)
  t.match(events().at(-1), { key: 'metric:m', message: { value: 599, unit: 'Hz', step: 606 } })
  const [first, , rest] = points()
  t.match(first, { name: 'm', x: 'step', k: 1, body: { value: 0, step: 7, points: [[7, 0]] } })
  t.match(rest, { name: 'm', k: 4, body: { value: 599, step: 606 } })
  const buckets = bucketsOf(rest?.bytes ?? new Uint8Array())
  t.equal(buckets.length, 150)
  t.same(buckets[0], [8, 10, 1, 1, 3, 3, 3], 'aligned from the first point of the attempt')
  context.metric('m', 600, 'Hz')
  context.metric('m', 601, 'Hz')
  await context.close()
  t.match(events().at(-1), { message: { value: 601 } }, 'all of them are written at the end')
  t.equal(points().at(-1)?.body.points?.length, 2)
})

t.test('[SERIES-3] a point without a step has the seconds since the start', async (t) => {
  const { context, points } = setUp(undefined, { metricIntervalMs: 100 })
  for (let i = 0; i < 3; i += 1) context.metric('m', i)
  await context.flush()
  const [part] = points()
  t.match(part, { x: 'seconds', unit: '', body: { value: 2 } })
  const xs = (part?.body.points ?? []).map(([x]) => x)
  t.ok(xs.every((x, i) => x >= (xs[i - 1] ?? 0) && x < 60))
  t.equal(part?.body.step, undefined)
})

t.test('durable events go out all and in order, in batches', async (t) => {
  const { context, writes, events } = setUp()
  for (let i = 0; i < 1000; i += 1) context.metric('m', i, 'Hz')
  await context.close()
  t.same(
    events().map(({ message }) => message.value),
    [...Array(1000).keys()],
  )
  t.ok(writes.length < 50)
})

t.test('ticks are coalesced: the last wins, at most ten a second, and none is left behind at the end', async (t) => {
  const { context, writes, events } = setUp()
  const begun = Date.now()
  let percent = 0
  while (Date.now() < begun + 350) {
    percent = Math.min(percent + 0.1, 99)
    tick(context, percent)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await context.close()
  const last = events().at(-1)?.message.percent
  const took = Date.now() - begun
  t.ok(writes.length <= 2 + took / 100, `${writes.length} ticks in ${took} ms`)
  t.equal(last, Math.round(percent * 10) / 10)
})

t.test('a tick that is not due does not hold back what is durable', async (t) => {
  const { context, events } = setUp()
  // The clock stands still, so that a slow machine does not make the second one due.
  const goOn = freezeClock()
  t.teardown(goOn)
  tick(context, 1)
  await context.flush()
  tick(context, 2)
  context.metric('m', 1, 'Hz')
  await context.flush()
  goOn()
  t.same(
    events().map(({ key }) => key),
    ['progress', 'metric:m'],
  )
  await eventually(() => events().length === 3)
  t.equal(events().at(-1)?.message.percent, 2, 'it goes out when it is due, without another report')
})

t.test('[STATE-4] a write that failed is sent again with its number, and nothing overtakes it', async (t) => {
  let failures = 3
  const { context, writes, events } = setUp(() =>
    failures-- > 0 ? new RuncastError('overloaded') : { ok: true, seq: 1, status: 'running' },
  )
  context.metric('a', 1, 'Hz')
  await eventually(() => writes.length === 2)
  context.metric('b', 2, 'Hz')
  await context.close()
  t.same(
    writes.map(({ writer }) => writer.n),
    [1, 1, 1, 1, 2],
  )
  t.same(
    events().map(({ key }) => key),
    ['metric:a', 'metric:a', 'metric:a', 'metric:a', 'metric:b'],
  )
})

t.test('[STATE-3] [STATE-8] the answer to a write stops the job: cancel asked for, another writer, round over, too much', async (t) => {
  const cases = [
    [{ ok: true, seq: 1, status: 'cancelling' }, 'cancelled'],
    [{ ok: false, reason: 'stale_writer', status: 'running' }, 'lost'],
    [{ ok: false, reason: 'final', status: 'cancelled' }, 'lost'],
    [{ ok: false, reason: 'unknown_job', status: null }, 'lost'],
    [{ ok: false, reason: 'too_many_keys', status: 'running' }, 'refused'],
    [{ ok: false, reason: 'too_big', status: null }, 'refused'],
  ] as const
  for (const [answer, why] of cases) {
    const { context, writes } = setUp(() => answer)
    context.metric('m', 1, 'Hz')
    await context.flush()
    t.ok(context.signal.reason instanceof Stop)
    t.equal(context.signal.reason.why, why)
    const next = context.metric('m', 2, 'Hz')
    if (why === 'cancelled') await next
    else await t.rejects(next, { name: 'Stop', why })
    await context.close()
    t.equal(writes.length, why === 'cancelled' ? 2 : 1, 'a result of a cancelled job may still stand, so its reports count')
    t.equal(context.givenUp?.why, why === 'cancelled' ? undefined : why)
  }
})

t.test('what the processor says after its end is not taken', async (t) => {
  const { context, writes } = setUp()
  await context.close()
  context.metric('late', 1, 'Hz')
  tick(context, 50)
  await context.flush()
  t.same(writes, [])
})

t.test('what waits is bounded: a Redis that is away ends the attempt, and another one may follow', async (t) => {
  const { context } = setUp(() => new RuncastError('overloaded'), { unreachableMs: 1 })
  context.metric('m', 0, 'Hz')
  await eventually(() => context.signal.aborted)
  t.equal(context.givenUp?.why, 'unreachable')
  const full = setUp(() => new RuncastError('overloaded'), { unreachableMs: 1000 })
  full.context.metric('m', 0, 'Hz')
  await eventually(() => full.writes.length === 2)
  for (let i = 0; i <= 10_001; i += 1) full.context.metric('m', i, 'Hz')
  t.equal(full.context.givenUp?.why, 'unreachable')
})

t.test('[REPORT-2] more than 10,000 unawaited reports fail the attempt, and those before are kept', async (t) => {
  const { context, events } = setUp()
  for (let i = 1; i <= 15_000; i += 1) context.metric('m', i, 'Hz')
  t.match(context.givenUp, {
    why: 'refused',
    message: 'the job was stopped: more than 10000 reports wait to be written: await the report calls',
  })
  await context.close()
  t.equal(events().length, 10_000)
  t.equal(events().at(-1)?.message.value, 10_000)
})

t.test('[REPORT-2] an awaited report call waits for room, so that any number arrives', async (t) => {
  const { context, events } = setUp()
  let most = 0
  for (let i = 1; i <= 15_000; i += 1) {
    await context.metric('m', i, 'Hz')
    most = Math.max(most, context.buffered)
  }
  await context.close()
  t.equal(events().length, 15_000)
  t.ok(most <= 256, `${most} waited`)
  t.equal(context.givenUp, undefined)
})

t.test('[REPORT-2] a report call that waits for room ends when the job is stopped', async (t) => {
  const { context } = setUp(() => new RuncastError('overloaded'), { unreachableMs: 1 })
  for (let i = 1; i < 256; i += 1) context.metric('m', i, 'Hz')
  const last = [context.metric('m', 256, 'Hz'), context.metric('m', 257, 'Hz')]
  context.stop('cancelled')
  await Promise.all(last)
  t.ok(context.signal.aborted)
})

t.test('[REPORT-1] a report that is not valid fails the attempt at once, awaited or not', async (t) => {
  const cases: [report: (context: Reports['run']) => Promise<void>, message: string][] = [
    [(context) => context.metric('line\nbreak', 1, 'Hz'), 'the job was stopped: metric_update: /metric_name must match pattern'],
    [(context) => context.metric('m', Number.NaN, 'Hz'), 'the job was stopped: metric "m": /value: NaN is not a finite number'],
  ]
  for (const [report, message] of cases) {
    const { context, events } = setUp()
    context.metric('before', 1, 'Hz')
    const promise = report(context)
    t.ok(context.signal.aborted, 'in the same turn')
    await t.rejects(promise, { name: 'TypeError' })
    await t.rejects(context.metric('after', 1, 'Hz'), { name: 'Stop', why: 'refused' })
    await context.close()
    t.match(context.givenUp?.message, message)
    t.same(
      events().map(({ key }) => key),
      ['metric:before'],
    )
  }
})

t.test('[REPORT-1] what is reported before the refused event of a batch is kept, what follows is not', async (t) => {
  const text = 'metric: message of 70000 bytes exceeds MAX_EVENT_BYTES (65536)'
  const { context, writes } = setUp(({ events }) =>
    events.some(({ key }) => key === 'metric:big')
      ? { ok: false, reason: 'too_big', status: null, text }
      : { ok: true, seq: 1, status: 'running' },
  )
  for (const name of ['a', 'b', 'big', 'c']) context.metric(name, 1, 'Hz')
  await context.close()
  t.same(
    writes.map(({ events }) => events.map(({ key }) => key.slice('metric:'.length))),
    [['a', 'b', 'big', 'c'], ['a'], ['b'], ['big']],
  )
  t.match(context.givenUp, { why: 'refused', message: `the job was stopped: ${text}` })
})

t.test('[REPORT-1] an error of a program is not taken for an absent Redis', async (t) => {
  const { context, writes } = setUp(() => new TypeError('Do not know how to serialize a BigInt'))
  context.metric('m', 1, 'Hz')
  await context.flush()
  t.equal(writes.length, 1, 'it is not tried again')
  t.match(context.givenUp, { why: 'refused', cause: { name: 'TypeError' } })
})

t.test('the runner’s own events follow all reports', async (t) => {
  const { context, events } = setUp()
  tick(context, 1)
  await context.flush()
  tick(context, 2)
  context.metric('m', 1, 'Hz')
  t.equal(await context.write([runEvents.status('j', 'queued')]), null)
  t.same(
    events().map(({ key }) => key),
    ['progress', 'progress', 'metric:m', 'status'],
  )
})

t.test('[STATE-3] a stopped job whose writes fail gives up as a whole: nothing is left out in the middle', async (t) => {
  let failing = false
  const { context, writes } = setUp(() => (failing ? new RuncastError('overloaded') : { ok: true, seq: 1, status: 'running' }), {
    unreachableMs: 300,
  })
  for (let i = 0; i < 200; i += 1) context.metric(`m${i}`, i, 'Hz')
  failing = true
  context.stop('stopping')
  const refusal = await context.write([runEvents.status('j', 'queued')])
  t.equal(refusal, 'unreachable')
  t.equal(new Set(writes.map(({ writer }) => writer.n)).size, 1, 'the first batch was tried again and again, and no later one was written')
  const before = writes.length
  t.equal(await context.write([runEvents.status('j', 'queued')]), 'unreachable')
  t.equal(writes.length, before)
})
