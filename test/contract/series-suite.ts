import type { Test } from 'tap'
import { opening } from '../../src/core/kind.js'
import { metricPoint } from '../../src/core/metric-point.js'
import { bucketsOf, MAX_PART_BUCKETS, type Point, SeriesFold, type SeriesPart } from '../../src/core/series.js'
import { type SeriesTelemetry, seriesTelemetry } from '../../src/core/series-telemetry.js'
import { runKind } from '../../src/kinds/run/kind.js'
import type { StoredSeries, TelemetryAdded } from '../../src/storage/telemetry.js'
import { eventually } from '../support/eventually.js'
import type { Backend, OpenBackend } from './backend.js'
import { entering, metric, TestJob } from './test-job.js'

/** A point whose y repeats no earlier one. */
const pointAt = (i: number): Point => [i, Math.sin(i) * i]

/** The points after the first `from` ones, as a worker sends them. */
function points(name: string, from: number, count: number, unit = 'Hz'): SeriesTelemetry {
  const fold = new SeriesFold({ start: from, maxBuckets: MAX_PART_BUCKETS })
  for (let i = from; i < from + count; i += 1) fold.add(...pointAt(i))
  const [step, value] = pointAt(from + count - 1)
  return seriesTelemetry(metricPoint(name, value, { unit, step }), 'step', fold)
}

function write(backend: Backend, job: TestJob, ...telemetry: SeriesTelemetry[]) {
  job.n += 1
  return backend.broker.publish(job.id, [], { round: job.round, token: job.token, n: job.n }, telemetry)
}

/** The fold of the first points at this k. */
function foldOf(count: number, k: number): SeriesFold {
  const fold = new SeriesFold()
  fold.raise(k)
  for (let i = 0; i < count; i += 1) fold.add(...pointAt(i))
  return fold
}

async function read(backend: Backend, id: string, name: string, from = 0): Promise<StoredSeries> {
  const [series] = (await backend.telemetry.series(id, name, from))?.series ?? []
  if (!series) throw new Error(`there is no series ${name}`)
  return series
}

/** The curves of jobs, as every store keeps them. */
export function seriesContract(t: Test, open: OpenBackend): void {
  t.test('[SERIES-1] the stored curve equals the fold of all points', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const heard: TelemetryAdded[] = []
    backend.telemetry.listen({ added: (increment) => heard.push(increment), gap: () => {} })
    await backend.telemetry.subscribe(job.id)
    const reader = new SeriesFold({ maxBuckets: Number.POSITIVE_INFINITY })
    let n = 0
    for (const count of [1, 1, 3, 300, 71, 1000, 40, 2000, 5000, 7, 100_000, 1]) {
      t.match(await write(backend, job, points('α m', n, count)), { ok: true })
      n += count
      const series = await read(backend, job.id, 'α m')
      const whole = foldOf(n, series.k)
      t.equal(whole.k, series.k)
      t.same({ ...series, bytes: bucketsOf(series.bytes) }, headOf(whole, 'α m', whole.buckets()))
      const from = Math.floor(n / 3)
      const part = whole.part(from)
      const end = await read(backend, job.id, 'α m', from)
      t.same({ ...end, bytes: bucketsOf(end.bytes) }, { ...headOf(whole, 'α m', part.buckets), from: part.from })
    }
    await eventually(() => heard.length === 12)
    const epoch = (await backend.telemetry.allSeries(job.id))?.epoch
    for (const added of heard) {
      if (added.reducer !== 'series') throw new Error('no points')
      const { id: _id, reducer: _reducer, body, ...head } = added
      const message: SeriesPart = JSON.parse(body.toString())
      t.match(message, { metric_name: 'α m', unit: 'Hz', x: 'step', from: head.from, n: head.n, k: head.k })
      t.match(head, { name: 'α m', epoch })
      t.equal(reader.fold(message), 'applied')
    }
    t.same(reader.buckets(), foldOf(n, reader.k).buckets(), 'and what was heard makes the same curve')
    t.equal((await read(backend, job.id, 'α m', n)).bytes.length, 0, 'nothing is after the last point')
    await backend.telemetry.unsubscribe(job.id)
  })

  t.test('[SERIES-3] an entry carries the number of points, and a repeated write adds none', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const writer = { round: 1, token: 1, n: job.n + 1 }
    const events = [metric(job.id, 'a', 1), metric(job.id, 'b', 1), metric(job.id, 'a', 2)]
    const telemetry = [points('a', 0, 3), points('b', 0, 1), points('a', 3, 2)]
    for (let i = 0; i < 2; i += 1) t.match(await backend.broker.publish(job.id, events, writer, telemetry), { ok: true, seq: 5 })
    const { entries } = await job.history(2)
    t.same(
      entries.map(({ body }) => JSON.parse(body.toString()).n),
      [3, 1, 5],
    )
    t.match(await backend.telemetry.allSeries(job.id), {
      owner: 'alice',
      seq: 5,
      series: [
        { name: 'a', n: 5, k: 1, size: 5 },
        { name: 'b', n: 1, k: 1, size: 1 },
      ],
    })
    t.match(await backend.broker.publish(job.id, [], { ...writer, token: 0 }, telemetry), { ok: false, reason: 'stale_writer' })
    t.equal((await read(backend, job.id, 'a')).n, 5)
    t.equal(await backend.telemetry.series('nobody', 'a'), null)
  })

  t.test('[SERIES-4] another attempt and another execution start their curves anew', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await write(backend, job, points('a', 0, 100), points('b', 0, 1))
    const before = await backend.telemetry.allSeries(job.id)
    await job.write(opening('attempt', runKind, entering(job.id, 'retrying')))
    const retried = await backend.telemetry.allSeries(job.id)
    t.same(retried?.series, [])
    t.not(retried?.epoch, before?.epoch)
    await job.enter('running')
    await write(backend, job, points('a', 0, 2))
    t.match(await backend.telemetry.allSeries(job.id), { series: [{ name: 'a', n: 2 }] })
    await job.enter('failed')
    t.match(await write(backend, job, points('a', 2, 1)), { ok: false, reason: 'final' })
    t.match(await backend.telemetry.allSeries(job.id), { series: [{ name: 'a', n: 2 }] }, 'they stay after the end')
    await job.retry()
    t.same((await backend.telemetry.allSeries(job.id))?.series, [])
  })

  t.test('[SERIES-5] the longest curves get fewer buckets at MAX_SERIES_BYTES', async (t) => {
    const backend = open(t, { maxSeries: 8, maxSeriesBytes: 64 * 800 })
    const job = await TestJob.in(backend, 'running')
    const readers = new Map<string, SeriesFold>()
    backend.telemetry.listen({
      gap: () => {},
      added: (increment) => {
        if (increment.reducer !== 'series') return
        const reader = readers.get(increment.name) ?? new SeriesFold({ maxBuckets: Number.POSITIVE_INFINITY })
        readers.set(increment.name, reader)
        reader.fold(JSON.parse(increment.body.toString()))
      },
    })
    await backend.telemetry.subscribe(job.id)
    for (let from = 0; from < 1500; from += 250) await write(backend, job, points('long', from, 250), points(`short ${from}`, 0, 20))
    const all = (await backend.telemetry.allSeries(job.id))?.series ?? []
    t.ok(all.reduce((sum, { size }) => sum + size, 0) <= 800)
    t.match(
      all.find(({ name }) => name === 'long'),
      { n: 1500, k: 4, size: 375 },
    )
    t.match(
      all.find(({ name }) => name === 'short 0'),
      { n: 20, k: 1, size: 20 },
    )
    for (let from = 0; from < 1000; from += 250) await write(backend, job, points('other', from, 250))
    await eventually(() => readers.get('other')?.n === 1000)
    for (const { name } of (await backend.telemetry.allSeries(job.id))?.series ?? []) {
      const { bytes, k } = await read(backend, job.id, name)
      t.same({ k: readers.get(name)?.k, buckets: readers.get(name)?.buckets() }, { k, buckets: bucketsOf(bytes) }, name)
    }
    await backend.telemetry.unsubscribe(job.id)
  })

  t.test('[SERIES-5] beyond MAX_SERIES a metric has its entries only, or is refused', async (t) => {
    const backend = open(t, { maxSeries: 2 })
    const job = await TestJob.in(backend, 'running')
    await write(backend, job, points('a', 0, 1), points('b', 0, 1))
    t.match(await write(backend, job, points('b', 1, 1), points('c', 0, 1)), {
      ok: false,
      reason: 'too_many_series',
      text: 'metric "c": one more metric exceeds MAX_SERIES (2)',
    })
    t.equal((await read(backend, job.id, 'b')).n, 1, 'and nothing of the write is there')
    job.n += 1
    const writer = { round: 1, token: 1, n: job.n }
    t.match(await backend.broker.publish(job.id, [metric(job.id, 'c', 1)], writer, [points('c', 0, 1)]), { ok: true, seq: 3 })
    t.same(
      (await job.history(2)).entries.map(({ body }) => JSON.parse(body.toString()).n),
      [undefined],
    )
    t.match(await backend.telemetry.allSeries(job.id), { series: [{ name: 'a' }, { name: 'b' }] })
  })
}

function headOf(fold: SeriesFold, name: string, bytes: object) {
  return { name, unit: 'Hz', x: 'step', n: fold.n, k: fold.k, size: fold.size, from: 0, bytes }
}
