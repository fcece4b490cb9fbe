import type { Test } from 'tap'
import type { LinesPage, TelemetryAdded } from '../../src/storage/telemetry.js'
import { eventually } from '../support/eventually.js'
import type { Backend, OpenBackend } from './backend.js'
import { entering, metric, TestJob } from './test-job.js'

const ALL = { limit: 10_000, maxBytes: 10_000_000 }

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}`)
}

/** The texts of a page, checked against its numbers. */
function textsOf(page: LinesPage | null): string[] {
  if (!page) throw new Error('there is no such job')
  return page.lines.map((line) => JSON.parse(line.toString()).text)
}

async function shown(backend: Backend, id: string) {
  const page = await backend.telemetry.lines(id, ALL)
  const texts = textsOf(page)
  return { first: page?.first, oldest: page?.oldest, last: page?.last, texts }
}

/** The telemetry of jobs, as every store keeps it. */
export function telemetryContract(t: Test, open: OpenBackend): void {
  t.test('[LOG-1] lines are numbered from 1, kept, and delivered with their numbers', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const heard: TelemetryAdded[] = []
    backend.telemetry.listen({ added: (increment) => heard.push(increment), gap: () => {} })
    await backend.telemetry.subscribe(job.id)
    t.same(await shown(backend, job.id), { first: 1, oldest: 1, last: 0, texts: [] })
    t.match(await job.logs(['größer', '\u001b[31m<b>red</b>\u009b0m\u202e']), { ok: true, seq: 2, status: 'running' })
    t.match(await job.logs(['third'], { events: [metric(job.id, 'a', 1)] }), { ok: true, seq: 3 })
    t.same(await shown(backend, job.id), {
      first: 1,
      oldest: 1,
      last: 3,
      texts: ['größer', '\u001b[31m<b>red</b>\u009b0m\u202e', 'third'],
    })
    await eventually(() => heard.length === 2)
    const page = await backend.telemetry.lines(job.id, ALL)
    t.match(page, { owner: 'alice', status: 'running' })
    t.match(heard, [
      { reducer: 'append', id: job.id, epoch: page?.epoch, first: 1, count: 2 },
      { reducer: 'append', id: job.id, epoch: page?.epoch, first: 3, count: 1 },
    ])
    const [added] = heard
    const body = added?.reducer === 'append' ? added.body.toString() : ''
    t.equal(`[${page?.lines.slice(0, 2)}]`, body, 'the same bytes')
    t.notMatch(body, /[\p{Cc}\u202e]/u, 'and harmless ones')
    t.equal(await backend.telemetry.lines('nobody', ALL), null)
    await backend.telemetry.unsubscribe(job.id)
  })

  t.test('[LOG-2] the newest lines stay, by number and by bytes, and at least one', async (t) => {
    const backend = open(t, { maxLogLines: 150, maxLogBytes: 20_000 })
    const job = await TestJob.in(backend, 'running')
    for (let from = 1; from <= 1000; from += 40) await job.logs(numbered(from, from + 39))
    t.same(await shown(backend, job.id), { first: 851, oldest: 851, last: 1000, texts: numbered(851, 1000) })
    await job.logs(Array.from({ length: 10 }, () => 'x'.repeat(3000)))
    const page = await backend.telemetry.lines(job.id, ALL)
    t.match(page, { oldest: 1005, last: 1010 })
    t.equal(page?.lines.length, 6)
    await job.logs(['y'.repeat(30_000)])
    t.match(await shown(backend, job.id), { oldest: 1011, last: 1011 })
  })

  t.test('[LOG-2] lines that were left out are numbered, and what is kept has no gap', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await job.logs(numbered(1, 10))
    await job.logs(numbered(101, 102), { skipped: 90 })
    await job.logs(numbered(103, 103))
    t.same(await shown(backend, job.id), { first: 101, oldest: 101, last: 103, texts: numbered(101, 103) })
    const other = await TestJob.in(backend, 'running')
    await other.logs(numbered(8, 9), { skipped: 7 })
    t.same(await shown(backend, other.id), { first: 8, oldest: 8, last: 9, texts: numbered(8, 9) })
  })

  t.test('[LOG-2] pages go forward from a number and back from the end', async (t) => {
    const backend = open(t, { maxLogLines: 200 })
    const job = await TestJob.in(backend, 'running')
    await job.logs(numbered(1, 300))
    const read = (query: { after?: number; before?: number }, limit: number, maxBytes = 1_000_000) =>
      backend.telemetry.lines(job.id, { ...query, limit, maxBytes })
    const cases: [query: { after?: number; before?: number }, limit: number, first: number, last: number][] = [
      [{}, 10, 291, 300],
      [{ before: 291 }, 10, 281, 290],
      [{ before: 105 }, 10, 101, 104],
      [{ after: 0 }, 10, 101, 110],
      [{ after: 110 }, 10, 111, 120],
      [{ after: 295 }, 10, 296, 300],
    ]
    for (const [query, limit, first, last] of cases) {
      const page = await read(query, limit)
      t.equal(page?.first, first, JSON.stringify(query))
      t.same(textsOf(page), numbered(first, last), JSON.stringify(query))
    }
    t.match(await read({ after: 300 }, 10), { first: 301, oldest: 101, last: 300, lines: [] })
    t.match(await read({ before: 101 }, 10), { first: 101, oldest: 101, last: 300, lines: [] })
    for (const query of [{ after: 100 }, {}]) {
      const page = await read(query, 100, 200)
      t.ok(page && page.lines.length >= 1 && page.lines.length < 5, 'no more bytes than asked for')
      t.equal((await read(query, 100, 1))?.lines.length, 1, 'but one line in any case')
    }
  })

  t.test('[LOG-1] [STATE-3] [STATE-4] log lines are fenced, and a write sent twice adds them once', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await job.logs(['once'])
    job.n -= 1
    t.match(await job.logs(['once']), { ok: true })
    const { n } = job
    job.n = 0
    t.match(await job.logs(['late copy']), { ok: false, reason: 'stale_write' })
    job.token = 0
    t.match(await job.logs(['old worker']), { ok: false, reason: 'stale_writer' })
    job.token = 1
    job.n = n
    t.match(await job.logs(['with a refused event'], { events: [entering(job.id, 'running')] }), { reason: 'transition' })
    await job.logs(['of the attempt that ends'], { events: [{ ...entering(job.id, 'retrying'), clears: 'attempt' }] })
    await job.enter('running')
    await job.logs(['of the next one'])
    t.match(await shown(backend, job.id), { last: 3, texts: ['once', 'of the attempt that ends', 'of the next one'] })
    await job.enter('failed')
    t.match(await job.logs(['after the end']), { ok: false, reason: 'final' })
    t.match(await backend.telemetry.lines(job.id, ALL), { status: 'failed', last: 3 })
  })

  t.test('[LOG-1] a new execution begins a log of its own', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await job.logs(numbered(1, 5))
    const { epoch = '' } = (await backend.telemetry.lines(job.id, ALL)) ?? {}
    await job.enter('failed')
    await job.retry()
    t.match(await shown(backend, job.id), { last: 0, texts: [] })
    await job.enter('running')
    await job.logs(['again'])
    t.same(await shown(backend, job.id), { first: 1, oldest: 1, last: 1, texts: ['again'] })
    t.not((await backend.telemetry.lines(job.id, ALL))?.epoch, epoch)
  })

  t.test('[JOB-5] metrics without end evict no other entry from the pages of the log', async (t) => {
    const backend = open(t, { maxLogEntries: 100 })
    const job = await TestJob.in(backend, 'running')
    const result = (n: number) => ({ ...metric(job.id, 'a', n), key: 'result' })
    for (let i = 0; i < 40; i += 1) await job.write(result(i), ...Array.from({ length: 25 }, (_, k) => metric(job.id, `m${k % 3}`, k)))
    const pages: unknown[] = []
    for (let after = 0; ; ) {
      const { entries, truncated, oldestSeq } = await job.history(after, 7)
      t.equal(truncated, after < (oldestSeq ?? 0) - 1, 'metrics before the oldest entry of the log are gone')
      pages.push(...entries.filter(({ key }) => !key.startsWith('metric:')).map(({ key, seq }) => `${key} ${seq}`))
      const last = entries.at(-1)
      if (!last) break
      t.ok(
        entries.every(({ seq }, i) => seq > (entries[i - 1]?.seq ?? after)),
        'in order',
      )
      after = last.seq
    }
    t.same(pages, ['status 1', 'status 2', ...Array.from({ length: 40 }, (_, i) => `result ${3 + 26 * i}`)])
  })
}
