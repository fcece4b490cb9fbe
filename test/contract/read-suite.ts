import type { Test } from 'tap'
import type { OpenBackend } from './backend.js'
import { readable, seqsOf } from './backend.js'
import { entering, metric, newJob, progress, TestJob } from './test-job.js'

/** Durable entries by the dozen, one write. */
function metrics(id: string, count: number) {
  return Array.from({ length: count }, (_, i) => metric(id, `metric_${i % 5}`, i))
}

/** What a reader with a position may rely on. */
export function readContract(t: Test, open: OpenBackend): void {
  t.test('[POS-4] what was missed is every durable entry since, and the latest tick per key', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const { id } = job
    await job.write(progress(id, 10), metric(id, 'a', 1), progress(id, 20), metric(id, 'a', 2), progress(id, 30))
    await job.enter('completed')
    t.same(seqsOf(await job.since(0)), [1, 2, 4, 6, 7, 8])
    t.same(seqsOf(await job.since(2)), [4, 6, 7, 8])
    t.same(seqsOf(await job.since(4)), [6, 7, 8])
    t.same(seqsOf(await job.since(7)), [8], 'a tick that is known is not missed')
    t.same(seqsOf(await job.since(8)), [], 'nothing was missed')
    const { latest } = await job.state()
    const logged = new Map((await job.history()).entries.map((entry) => [entry.seq, entry]))
    for (const entry of (await job.since(0)) ?? [])
      t.same(readable(entry), readable(logged.get(entry.seq) ?? latest.get(entry.key) ?? entry))
  })

  t.test('[POS-4] a tick that a new attempt has made void is not missed', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    await job.write(progress(job.id, 10), { ...entering(job.id, 'retrying'), clears: 'attempt' })
    t.same(seqsOf(await job.since(1)), [2, 4])
  })

  t.test('[POS-4] state and what was missed are of one moment', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const { epoch } = await job.state()
    const writing = (async () => {
      for (let i = 0; i < 50; i += 1) await job.write(metric(job.id, 'a', i), progress(job.id, i))
    })()
    let seq = 0
    while (seq < 102) {
      const reading = await backend.broker.read(job.id, { epoch, seq: 0 })
      seq = reading?.state.seq ?? 0
      t.equal(reading?.missed?.at(-1)?.seq, seq)
      t.equal(reading?.missed?.filter((entry) => entry.class !== 'transient').length, 2 + (seq - 2) / 2)
    }
    await writing
  })

  t.test('[POS-5] without a position, or with one of another count, there is the state alone', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const { epoch, seq } = await job.state()
    for (const since of [
      undefined,
      { epoch: '', seq: 0 },
      { epoch: `${epoch}x`, seq },
      { epoch: epoch.slice(1), seq },
      { epoch, seq: seq + 1 },
      { epoch, seq: Number.MAX_SAFE_INTEGER },
    ]) {
      const reading = await backend.broker.read(job.id, since)
      t.equal(reading?.state.seq, seq)
      t.notOk(reading && 'missed' in reading, `since ${since?.epoch} ${since?.seq}`)
    }
  })

  t.test('[POS-5] a job that was made anew under its id has another epoch', async (t) => {
    const { broker: one, store } = open(t)
    const { broker: other, store: otherStore } = open(t)
    const { id } = newJob()
    await store.create(newJob({ id }), entering(id, 'queued'))
    await otherStore.create(newJob({ id }), entering(id, 'queued'))
    t.not((await one.read(id))?.state.epoch, (await other.read(id))?.state.epoch)
  })

  t.test('[POS-4] [POS-5] a log that was trimmed is told from one that reaches back', async (t) => {
    const job = await TestJob.in(open(t, { maxLogEntries: 100 }), 'running')
    await job.write(...metrics(job.id, 98))
    t.equal((await job.since(0))?.length, 100, 'nothing was trimmed yet')
    t.match(await job.history(0, 3), { oldestSeq: 1, truncated: false })
    await job.write(...metrics(job.id, 250), progress(job.id, 50))
    const { oldestSeq, truncated } = await job.history()
    const oldest = oldestSeq ?? 0
    t.ok(oldest > 50 && oldest <= 251, `the log begins with ${oldest}`)
    t.ok(truncated)
    for (const after of [0, 1, oldest - 2]) {
      t.equal(await job.since(after), undefined, `after ${after}`)
      t.equal((await job.history(after)).truncated, true)
    }
    for (const after of [oldest - 1, oldest, 349]) {
      const missed = await job.since(after)
      t.same(
        seqsOf(missed),
        Array.from({ length: 351 - after }, (_, i) => after + 1 + i),
        `after ${after}`,
      )
      t.equal((await job.history(after)).truncated, false)
    }
  })

  t.test('[POS-5] more than may be missed is not replayed', async (t) => {
    const job = await TestJob.in(open(t, { maxMissedEntries: 10 }), 'running')
    await job.write(...metrics(job.id, 10), progress(job.id, 1))
    t.equal((await job.since(2))?.length, 11, 'ticks do not count')
    t.equal(await job.since(1), undefined)
  })

  t.test('[JOB-5] the log is read in pages', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    await job.write(...metrics(job.id, 5), progress(job.id, 1), ...metrics(job.id, 2))
    const pages: number[][] = []
    let after = 0
    for (;;) {
      const { entries, oldestSeq, truncated } = await job.history(after, 3)
      t.same({ oldestSeq, truncated }, { oldestSeq: 1, truncated: false })
      if (entries.length === 0) break
      pages.push(seqsOf(entries) ?? [])
      after = entries.at(-1)?.seq ?? 0
    }
    t.same(pages, [
      [1, 2, 3],
      [4, 5, 6],
      [7, 9, 10],
    ])
    t.same((await job.history(1000)).entries, [])
  })

  t.test('a brief state is the state without its input', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await job.write(progress(job.id, 10), metric(job.id, 'größe "/\\', 1))
    const { input, sinceHeartbeatMs: _now, ...state } = await job.state()
    t.not(input, '')
    t.match(await backend.broker.readBrief(job.id), { ...state, latest: new Map(state.latest) })
    t.equal(await backend.broker.readBrief('nobody'), null)
  })

  t.test('a state that was read does not change any more', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const before = await job.state()
    await job.write(metric(job.id, 'a', 1), entering(job.id, 'completed'))
    t.match(before, { status: 'running', seq: 2, finished_at: null })
    t.same([...before.latest.keys()], ['status'])
  })
}
