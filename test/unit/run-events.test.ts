import t, { type Test } from 'tap'
import { Compile } from 'typebox/compile'
import type { JobEvent } from '../../src/core/entry.js'
import { lastProgress, runEvents, runSnapshot } from '../../src/core/run-events.js'
import { FAILURE_CODES } from '../../src/protocol/codes.js'
import { RUN_MESSAGES, RunSnapshot } from '../../src/protocol/run-messages.js'
import { STATUSES } from '../../src/protocol/status.js'
import { entering, metric, progress, TestJob } from '../contract/test-job.js'
import { MemoryBroker } from '../support/memory-broker.js'

const ID = 'run-1'
const LAST = { percent: 47.5, phase: 'solving', elapsed_s: 12.3 }
const at = (fields: object = {}) => ({ percent: 45, phase: 'solving' as const, message: 'sweep', elapsed_s: 1.5, ...fields })
const result = { compute_time_s: 45.2, metrics_summary: { natural_frequency_hz: 19_850.3 } }
const failure = { error: 'no convergence', code: 'solver_error' as const, log_tail: 'line 1\nline 2' }

/** The event's message, proved against the schema of its type, without its time. */
function valid(t: Test, event: JobEvent): object {
  const { timestamp, ...message } = event.message
  const schema = RUN_MESSAGES[message.type as keyof typeof RUN_MESSAGES]
  t.ok(Compile(schema).Check(event.message), `a valid ${message.type}`)
  t.ok(Math.abs(Date.parse(String(timestamp)) - Date.now()) < 60_000, 'stamped with the time')
  t.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  return message
}

t.test('progress is a tick, and the latest one counts', async (t) => {
  const event = runEvents.progress(ID, at())
  t.match(event, { key: 'progress', class: 'transient' })
  t.same(valid(t, event), { type: 'progress', run_id: ID, ...at() })
  for (const phase of runEvents.phases) valid(t, runEvents.progress(ID, at({ phase })))
  for (const percent of [0, 99.9, 100]) valid(t, runEvents.progress(ID, at({ percent })))
})

t.test('a metric is durable, and its name is its key', async (t) => {
  const event = runEvents.metric(ID, 'natural_frequency_hz', 19_850.3, 'Hz')
  t.match(event, { key: 'metric:natural_frequency_hz', class: 'persisted' })
  t.same(valid(t, event), { type: 'metric_update', run_id: ID, metric_name: 'natural_frequency_hz', value: 19_850.3, unit: 'Hz' })
  for (const value of [0, -1e308, Number.MIN_VALUE]) valid(t, runEvents.metric(ID, 'a', value, ''))
})

t.test('[CONN-6] a transition has the status, and a reason where there is one', async (t) => {
  for (const status of STATUSES) {
    const event = runEvents.status(ID, status)
    t.match(event, { key: 'status', class: 'persisted', to: status })
    t.same(valid(t, event), { type: 'status', run_id: ID, status })
  }
  t.same(valid(t, runEvents.status(ID, 'retrying', 'the worker was lost')), {
    type: 'status',
    run_id: ID,
    status: 'retrying',
    reason: 'the worker was lost',
  })
})

t.test('[STATE-6] a final message carries the last progress, and only a completed one says 100', async (t) => {
  const completed = runEvents.completed(ID, result, LAST)
  t.match(completed, { key: 'final', class: 'final', to: 'completed' })
  t.same(valid(t, completed), { type: 'completed', run_id: ID, status: 'completed', ...result, ...LAST, percent: 100 })
  const failed = runEvents.failed(ID, failure, LAST)
  t.match(failed, { key: 'final', class: 'final', to: 'failed' })
  const { log_tail: solver_log_tail, ...rest } = failure
  t.same(valid(t, failed), { type: 'error', run_id: ID, ...rest, solver_log_tail, ...LAST })
  const cancelled = runEvents.cancelled(ID, LAST)
  t.match(cancelled, { key: 'final', class: 'final', to: 'cancelled' })
  t.same(valid(t, cancelled), { type: 'cancelled', run_id: ID, ...LAST })
  t.same(valid(t, runEvents.cancelled(ID, {})), { type: 'cancelled', run_id: ID }, 'where there was none, it has none')
})

t.test('[STATE-10] a failure has one of the codes', async (t) => {
  for (const code of FAILURE_CODES) t.match(valid(t, runEvents.failed(ID, { ...failure, code }, {})), { code })
})

const bad: [string, () => JobEvent][] = [
  ['percent 101', () => runEvents.progress(ID, at({ percent: 101 }))],
  ['percent -0.1', () => runEvents.progress(ID, at({ percent: -0.1 }))],
  ['percent NaN', () => runEvents.progress(ID, at({ percent: Number.NaN }))],
  ['an unknown phase', () => runEvents.progress(ID, at({ phase: 'dreaming' }))],
  ['no message', () => runEvents.progress(ID, at({ message: undefined }))],
  ['a message of 1001 characters', () => runEvents.progress(ID, at({ message: 'x'.repeat(1001) }))],
  ['a negative time', () => runEvents.progress(ID, at({ elapsed_s: -1 }))],
  ['an id of digits', () => runEvents.progress('42', at())],
  ['a metric NaN', () => runEvents.metric(ID, 'a', Number.NaN, 'Hz')],
  ['a metric without end', () => runEvents.metric(ID, 'a', Number.POSITIVE_INFINITY, 'Hz')],
  ['a metric with a newline', () => runEvents.metric(ID, 'a\n', 1, 'Hz')],
  ['a metric without a name', () => runEvents.metric(ID, '', 1, 'Hz')],
  ['a metric name of 129 characters', () => runEvents.metric(ID, 'a'.repeat(129), 1, 'Hz')],
  ['a unit of 33 characters', () => runEvents.metric(ID, 'a', 1, 'x'.repeat(33))],
  ['a reason of 1001 characters', () => runEvents.status(ID, 'queued', 'x'.repeat(1001))],
  ['a summary that is no number', () => runEvents.completed(ID, { ...result, metrics_summary: { a: Number.NaN } }, {})],
  ['a last percent of 101', () => runEvents.cancelled(ID, { percent: 101 })],
]
for (const [name, build] of bad) {
  t.test(`${name} is an error of whoever reports it`, async (t) => {
    t.throws(build, { name: 'TypeError' })
  })
}

/** The snapshot of a job that a memory broker has brought about. */
async function snapshotOf(t: Test, job: TestJob) {
  const snapshot = { ...runSnapshot(await job.state()), recovered: false }
  t.ok(Compile(RunSnapshot).Check(snapshot), 'a valid snapshot')
  return snapshot
}

t.test('[CONN-6] the snapshot tells the whole state', async (t) => {
  const memory = new MemoryBroker()
  const job = await TestJob.create({ broker: memory, store: memory, prefix: '' }, { id: ID })
  const nothing = { percent: null, phase: null, message: null, elapsed_s: null, metrics: {}, started_at: null, finished_at: null }
  t.match(await snapshotOf(t, job), { type: 'status', run_id: ID, status: 'queued', attempt: 1, seq: 1, ...nothing })
  await job.enter('running')
  await job.write(progress(ID, 45), metric(ID, 'a', 1), metric(ID, 'b', 2), metric(ID, 'a', 3))
  const { started_at, epoch, created_at } = await job.state()
  const { timestamp: _timestamp, ...running } = await snapshotOf(t, job)
  t.same(running, {
    ...{
      type: 'status',
      run_id: ID,
      status: 'running',
      attempt: 1,
      stale: false,
      percent: 45,
      phase: 'solving',
      message: '45 % – größer',
      elapsed_s: 4.5,
    },
    ...{ metrics: { a: { value: 3, unit: 'Hz' }, b: { value: 2, unit: 'Hz' } }, created_at, started_at, finished_at: null, seq: 6, epoch },
    recovered: false,
  })
  t.type(started_at, 'string')
})

t.test('[STATE-6] the snapshot of an ended job shows the bar where its final message stopped it, else where it was last', async (t) => {
  const memory = new MemoryBroker()
  const ended = async (id: string, end: JobEvent) => {
    const job = await TestJob.create({ broker: memory, store: memory, prefix: '' }, { id })
    await job.enter('running')
    await job.write(progress(id, 45))
    await job.write(end)
    return snapshotOf(t, job)
  }
  const last = { percent: 45, phase: 'solving', elapsed_s: 4.5, message: '45 % – größer' }
  t.match(await ended('run-a', runEvents.completed('run-a', result, LAST)), { status: 'completed', ...last, ...LAST, percent: 100 })
  t.match(await ended('run-b', runEvents.failed('run-b', failure, LAST)), { status: 'failed', ...last, ...LAST })
  t.match(await ended('run-c', runEvents.cancelled('run-c', {})), { status: 'cancelled', ...last })
})

t.test('[STATE-6] the last progress is that of this attempt', async (t) => {
  const memory = new MemoryBroker()
  const job = await TestJob.create({ broker: memory, store: memory, prefix: '' }, { id: ID })
  t.same(lastProgress(await job.state()), {})
  await job.enter('running')
  await job.write(progress(ID, 45))
  t.same(lastProgress(await job.state()), { percent: 45, phase: 'solving', elapsed_s: 4.5 })
  await job.write({ ...entering(ID, 'retrying'), clears: 'attempt' })
  t.same(lastProgress(await job.state()), {})
})
