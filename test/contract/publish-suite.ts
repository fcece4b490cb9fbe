import type { Test } from 'tap'
import { messageOf } from '../../src/core/entry.js'
import { runSnapshot } from '../../src/core/run-events.js'
import { eventually } from '../support/eventually.js'
import { listenTo, type OpenBackend, readable, seqsOf } from './backend.js'
import { entering, metric, newJob, progress, TestJob } from './test-job.js'

/** What a publisher and a subscriber may rely on. */
export function publishContract(t: Test, open: OpenBackend): void {
  t.test('[CONN-8] subscriber, latest entries and log hold the same bytes, positioned without a gap', async (t) => {
    const backend = open(t)
    const heard = listenTo(backend.broker)
    const { id } = newJob()
    await backend.broker.subscribe(id)
    const job = await TestJob.create(backend, { id })
    const events = [
      entering(id, 'running'),
      progress(id, 10),
      metric(id, 'natural_frequency_hz', 19_900.5),
      metric(id, 'natural_frequency_hz', 19_955.6),
      metric(id, 'quality_factor', 333),
      progress(id, 20),
    ]
    for (const [i, event] of events.entries()) {
      t.same(await job.write(event), { ok: true, seq: i + 2, status: 'running' })
    }
    await eventually(() => heard.entries.length === 7)
    t.same(seqsOf(heard.entries), [1, 2, 3, 4, 5, 6, 7])
    t.same(
      heard.entries.map((entry) => [entry.class, entry.key, entry.to, entry.clears]),
      [
        ['persisted', 'status', 'queued', undefined],
        ['persisted', 'status', 'running', undefined],
        ['transient', 'progress', undefined, undefined],
        ['persisted', 'metric:natural_frequency_hz', undefined, undefined],
        ['persisted', 'metric:natural_frequency_hz', undefined, undefined],
        ['persisted', 'metric:quality_factor', undefined, undefined],
        ['transient', 'progress', undefined, undefined],
      ],
    )
    for (const [i, { message, key }] of events.entries()) {
      const head = JSON.stringify(message).slice(0, -1)
      t.equal(heard.entries[i + 1]?.body.toString(), `${head}${key === 'status' ? ',"attempt":1' : ''},"seq":${i + 2}}`)
    }
    const state = await job.state()
    t.same([...state.latest.keys()], ['status', 'metric:natural_frequency_hz', 'metric:quality_factor', 'progress'])
    const bySeq = new Map(heard.entries.map((entry) => [entry.seq, readable(entry)]))
    for (const entry of state.latest.values()) t.same(readable(entry), bySeq.get(entry.seq))
    const { entries } = await job.history()
    t.same(seqsOf(entries), [1, 2, 4, 5, 6], 'the log has no ticks')
    for (const entry of entries) t.same(readable(entry), bySeq.get(entry.seq))
  })

  t.test('[REPORT-5] a metric of any name is stored, delivered and cleared under its own', async (t) => {
    const backend = open(t)
    const heard = listenTo(backend.broker)
    const job = await TestJob.in(backend, 'running')
    await backend.broker.subscribe(job.id)
    const names = ['max σ / MPa', 'Q', '__proto__', 'a\u2028b', '%20', ' ']
    await job.write(...names.map((name, i) => metric(job.id, name, i)))
    await eventually(() => heard.entries.length === names.length)
    t.same(
      heard.entries.map((entry) => messageOf(entry).metric_name),
      names,
    )
    const { metrics } = runSnapshot(await job.state())
    t.same(
      Object.entries(metrics)
        .map(([name, { value }]) => [name, value])
        .toSorted(),
      names.map((name, i) => [name, i]).toSorted(),
    )
    await job.write({ ...entering(job.id, 'retrying'), clears: 'attempt' })
    t.same([...(await job.state()).latest.keys()], ['status'])
  })

  t.test('events of one write are all done or none', async (t) => {
    const backend = open(t)
    const heard = listenTo(backend.broker)
    const job = await TestJob.in(backend, 'running')
    await backend.broker.subscribe(job.id)
    const refused = await job.write(progress(job.id, 5), metric(job.id, 'a', 1), entering(job.id, 'running'))
    t.same(refused, { ok: false, reason: 'transition', status: 'running' })
    t.equal((await job.state()).seq, 2)
    const done = await job.write(progress(job.id, 5), metric(job.id, 'a', 1), entering(job.id, 'cancelling'))
    t.same(done, { ok: true, seq: 5, status: 'cancelling' }, 'the seq is that of the last event')
    await eventually(() => heard.entries.length === 3)
    t.same(seqsOf(heard.entries), [3, 4, 5])
  })

  t.test('each event of a write sees the state that the one before it leads to', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const { id } = job
    t.same(await job.control(entering(id, 'cancelling'), entering(id, 'cancelled')), { ok: true, seq: 4, status: 'cancelled' })
    const next = await TestJob.in(open(t), 'running')
    t.same(await next.control(entering(next.id, 'failed'), metric(next.id, 'a', 1)), { ok: false, reason: 'final', status: 'running' })
  })

  t.test('an optional event is left out where its state cannot be entered', async (t) => {
    const job = await TestJob.create(open(t))
    const lost = { ...entering(job.id, 'retrying'), clears: 'attempt', optional: true } as const
    t.same(await job.write(lost, entering(job.id, 'running')), { ok: true, seq: 2, status: 'running' })
    t.equal((await job.state()).attempt, 1)
    t.same(await job.write(lost, entering(job.id, 'running')), { ok: true, seq: 4, status: 'running' })
    t.equal((await job.state()).attempt, 2)
    await job.enter('completed')
    t.same(await job.write(lost), { ok: true, seq: 5, status: 'completed' }, 'a write of nothing answers where the job is')
    t.equal((await job.state()).seq, 5)
  })

  t.test('`from` narrows the states that an event may come from', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const waiting = { ...entering(job.id, 'cancelled'), from: ['queued', 'retrying', 'paused'] } as const
    t.same(await job.control(waiting), { ok: false, reason: 'transition', status: 'running' })
    await job.enter('queued')
    const widened = { ...entering(job.id, 'completed'), from: ['queued', 'running'] } as const
    t.same(await job.control(widened), { ok: false, reason: 'transition', status: 'queued' }, 'and never widens them')
    t.same(await job.control(waiting), { ok: true, seq: 4, status: 'cancelled' })
  })

  t.test('a write to a job that does not exist is refused, and so is one of another round', async (t) => {
    const backend = open(t)
    const { id } = newJob()
    const writer = { round: 1, token: 1, n: 1 }
    t.same(await backend.broker.publish(id, [entering(id, 'running')], writer), { ok: false, reason: 'unknown_job', status: null })
    t.equal(await backend.broker.read(id), null)
    t.equal(await backend.store.history(id, 0, 10), null)
  })

  t.test('an event that is too big is refused, measured in bytes', async (t) => {
    const maxEventBytes = 400
    const job = await TestJob.in(open(t, { maxEventBytes }), 'running')
    const size = Buffer.byteLength(JSON.stringify(entering(job.id, 'queued').message)) + ',"reason":""'.length
    const event = (bytes: number) => {
      const { message, ...rest } = entering(job.id, 'queued')
      return { ...rest, message: { ...message, reason: 'ä'.repeat((bytes - size) / 2) + 'x'.repeat((bytes - size) % 2) } }
    }
    t.match(await job.write(event(maxEventBytes + 1)), {
      ok: false,
      reason: 'too_big',
      text: 'status: message of 401 bytes exceeds MAX_EVENT_BYTES (400)',
    })
    t.match(await job.write(progress(job.id, 1), event(maxEventBytes + 1)), { ok: false, reason: 'too_big', index: 1 })
    t.equal((await job.state()).seq, 2)
    t.match(await job.write(event(maxEventBytes)), { ok: true, seq: 3 })
  })

  t.test('a job that is full takes no more keys, and yet it can go on and end', async (t) => {
    const maxKeys = 30
    const job = await TestJob.in(open(t, { maxKeys }), 'running')
    let keys = 1
    let answer = await job.write(metric(job.id, 'metric_1', 1))
    while (answer.ok && keys < 100) answer = await job.write(metric(job.id, `metric_${++keys}`, 1))
    t.match(answer, { ok: false, reason: 'too_many_keys', status: 'running', text: /^metric "metric_\d+": .*MAX_KEYS \(30\)/ })
    t.ok(keys >= maxKeys && keys <= maxKeys + 25, `the key with number ${keys} was one too many`)
    t.equal((await job.state()).latest.size, keys, 'status and all metrics before')
    t.match(await job.write(metric(job.id, 'metric_1', 2)), { ok: true }, 'a key that is there already costs nothing')
    t.match(await job.write(entering(job.id, 'queued'), entering(job.id, 'running')), { ok: true })
    t.match(await job.write(entering(job.id, 'completed')), { ok: true, status: 'completed' })
  })

  t.test('who has unsubscribed hears nothing more', async (t) => {
    const backend = open(t)
    const heard = listenTo(backend.broker)
    const [left, kept] = [await TestJob.create(backend), await TestJob.create(backend)]
    for (const job of [left, kept]) await backend.broker.subscribe(job.id)
    await left.enter('running')
    // What is still under way when it unsubscribes is nobody's any more.
    await eventually(() => heard.entries.length === 1)
    await backend.broker.unsubscribe(left.id)
    await left.enter('failed')
    // What comes after it in the same channel of delivery proves that nothing of it is still under way.
    await kept.enter('running')
    await eventually(() => heard.entries.some((entry) => entry.id === kept.id))
    t.same(
      heard.entries.map((entry) => [entry.id, entry.seq]),
      [
        [left.id, 2],
        [kept.id, 2],
      ],
    )
    await backend.broker.subscribe(left.id)
    await left.retry()
    await eventually(() => heard.entries.length === 3)
    t.equal(heard.entries.at(-1)?.seq, 4)
  })

  t.test('a job that nobody subscribed to is not delivered', async (t) => {
    const backend = open(t)
    const heard = listenTo(backend.broker)
    const [wanted, other] = [await TestJob.create(backend), await TestJob.create(backend)]
    await backend.broker.subscribe(wanted.id)
    await other.enter('running')
    await wanted.enter('running')
    await eventually(() => heard.entries.length > 0)
    t.same(
      heard.entries.map((entry) => entry.id),
      [wanted.id],
    )
  })
}
