import t, { type Test } from 'tap'
import { Compile } from 'typebox/compile'
import { processDialect, processFinal, processView } from '../../src/core/dialect.js'
import { controlWriter, type Entry, type JobEvent } from '../../src/core/entry.js'
import type { JobState } from '../../src/core/job-state.js'
import type { Kind } from '../../src/core/kind.js'
import { processEvents } from '../../src/core/process-events.js'
import { runEvents } from '../../src/core/run-events.js'
import { EntryFrames } from '../../src/hub/frame.js'
import { HubTally } from '../../src/hub/hub-tally.js'
import type { KindName } from '../../src/kinds/index.js'
import { ProcessView } from '../../src/protocol/process-messages.js'
import { BUILT_IN } from '../support/kinds.js'
import { MemoryBroker } from '../support/memory-broker.js'

const benchmarkEvents = processEvents('benchmark')
const isView = Compile(ProcessView)

/** A job whose entries are kept as they come. */
async function jobOf(kind: KindName, id: string) {
  const broker = new MemoryBroker()
  const entries: Entry[] = []
  broker.listen({ entry: (entry) => entries.push(entry), gap: () => {} })
  await broker.subscribe(id)
  const record = { id, kind, owner: 'alice', input: '{}', digest: '', generation: 'g', created_at: '2026-01-01T00:00:00.000Z' }
  await broker.create(
    { ...record, timeoutMs: 3600_000, solver: null, parent: null },
    kind === 'run' ? runEvents.status(id, 'queued') : benchmarkEvents.status(id, 'queued'),
  )
  const write = async (...events: JobEvent[]): Promise<Entry> => {
    const { state } = (await broker.read(id)) as { state: JobState } // it was just created
    const round = events[0]?.clears === 'round' ? state.round + 1 : state.round
    const answer = await broker.publish(id, events, controlWriter(round))
    if (!answer.ok) throw new Error(answer.reason)
    return entries.at(-1) as Entry // just written
  }
  const state = async () => ((await broker.read(id)) as { state: JobState }).state
  return { entries, write, state }
}

function translated(entry: Entry | undefined, kind: Kind = BUILT_IN.get('run')): Record<string, unknown> | null {
  const body = entry && processDialect.body(entry, { kind, parent: null })
  return body ? JSON.parse(body.toString()) : null
}

/** All that a message of the process dialect has, less its time. */
function sameBut(t: Test, entry: Entry | undefined, expected: object): void {
  const { timestamp, ...rest } = translated(entry) ?? {}
  t.match(timestamp, /^\d{4}-/)
  t.same(rest, expected)
}

const RUN = { process_id: 'r', process_type: 'solver' }
const LAST = { percent: 99.9, phase: 'solving', elapsed_s: 2 } as const

t.test('[PROC-3] each message of a run as one of a process', async (t) => {
  const { entries, write } = await jobOf('run', 'r')
  sameBut(t, entries[0], { type: 'process_queued', ...RUN, attempt: 1, seq: 1 })
  sameBut(t, await write(runEvents.status('r', 'running')), { type: 'process_started', ...RUN, attempt: 1, seq: 2 })
  const at = { percent: 45, phase: 'solving', message: 'Sweep: 9/21', elapsed_s: 12.3 } as const
  sameBut(t, await write(runEvents.progress('r', at)), {
    type: 'process_progress',
    ...RUN,
    progress: { current: 45, total: 100, detail: 'Sweep: 9/21', phase: 'solving' },
    seq: 3,
  })
  t.equal(translated(await write(runEvents.metric('r', 'f', 1, 'Hz'))), null, 'a measurement has no message here')
  const retrying = { ...runEvents.status('r', 'retrying', 'the worker was lost'), clears: 'attempt' } as const
  sameBut(t, await write(retrying), { type: 'process_retrying', ...RUN, reason: 'the worker was lost', attempt: 2, seq: 5 })
  await write(runEvents.status('r', 'running'))
  sameBut(t, await write(runEvents.status('r', 'paused')), { type: 'process_paused', ...RUN, attempt: 2, seq: 7 })
  await write(runEvents.status('r', 'running'))
  sameBut(t, await write(runEvents.status('r', 'cancelling')), { type: 'process_cancelling', ...RUN, attempt: 2, seq: 9 })
  const progress = { current: 99.9, total: 100, detail: '', phase: 'solving' }
  sameBut(t, await write(runEvents.cancelled('r', LAST)), { type: 'process_cancelled', ...RUN, progress, seq: 10 })
})

t.test('[PROC-3] the ends of a run', async (t) => {
  const completed = await jobOf('run', 'r')
  await completed.write(runEvents.status('r', 'running'))
  sameBut(t, await completed.write(runEvents.completed('r', { compute_time_s: 4.5, metrics_summary: { f: 1 } }, LAST)), {
    type: 'process_completed',
    ...RUN,
    result: { f: 1 },
    compute_time_s: 4.5,
    progress: { current: 100, total: 100, detail: '', phase: 'solving' },
    seq: 3,
  })
  const failed = await jobOf('run', 'r')
  sameBut(t, await failed.write(runEvents.failed('r', { error: 'no', code: 'timeout', log_tail: 'x' }, {})), {
    type: 'process_failed',
    ...RUN,
    error: 'no',
    code: 'timeout',
    log_tail: 'x',
    seq: 2,
  })
  t.match(processFinal(await failed.state()), { type: 'process_failed', error: 'no' })
  t.match(processFinal(await completed.state()), { type: 'process_completed', seq: 3 })
})

t.test('[STATE-10] a failure carries the last lines of the log in the process dialect too, where there are any', async (t) => {
  for (const kind of ['run', 'benchmark'] as const) {
    for (const log_tail of ['first line\nlast line', '']) {
      const job = await jobOf(kind, 'j')
      await job.write(BUILT_IN.get(kind).events.failed('j', { error: 'no', code: 'solver_error', log_tail }, {}))
      t.equal(processFinal(await job.state())?.log_tail, log_tail === '' ? undefined : log_tail)
    }
  }
})

t.test('[STATE-12] the effort of a round, told in either dialect', async (t) => {
  for (const kind of ['run', 'benchmark'] as const) {
    const events = BUILT_IN.get(kind).events
    const job = await jobOf(kind, 'j')
    t.match(events.last(await job.state()), { attempts: 1, duration_s: 0 }, 'it never began')
    const running = events.status('j', 'running')
    await job.write({ ...running, message: { ...running.message, timestamp: new Date(Date.now() - 90_000).toISOString() } })
    await job.write({ ...events.status('j', 'retrying'), clears: 'attempt' })
    const end = events.last(await job.state())
    t.match(end, { attempts: 2, duration_s: Number })
    t.ok(Math.abs((end as { duration_s: number }).duration_s - 90) < 60, 'in seconds')
    await job.write(events.failed('j', { error: 'no', code: 'timeout', log_tail: '' }, end))
    t.match(processFinal(await job.state()), { type: 'process_failed', ...end })
  }
})

t.test('a benchmark speaks the process dialect itself: the bytes go through untouched', async (t) => {
  const { entries, write, state } = await jobOf('benchmark', 'b')
  await write(benchmarkEvents.status('b', 'running'))
  const progress = { current: 5, total: 12, model: 'GPT-4o', detail: 'Run 2/3, Context 5K' }
  await write(benchmarkEvents.progress('b', progress))
  await write(benchmarkEvents.result('b', { ttft_ms: 200 }))
  await write(benchmarkEvents.completed('b', { compute_time_s: 1, ...{ total: 12 } }, benchmarkEvents.last(await state())))
  const benchmark = BUILT_IN.get('benchmark')
  for (const entry of entries) t.equal(processDialect.body(entry, { kind: benchmark, parent: null }), entry.body)
  t.same(
    entries.map((entry) => translated(entry, benchmark)?.type),
    ['process_queued', 'process_started', 'process_progress', 'process_result', 'process_completed'],
  )
  t.match(translated(entries[0], benchmark), { process_type: 'benchmark', attempt: 1 })
  t.match(translated(entries.at(-1), benchmark), { result: { total: 12 }, compute_time_s: 1, progress })
  t.match(processView(await state()), { process_type: 'benchmark', status: 'completed', progress })
})

t.test('[WORDS-6] each message of a child job names its parent', async (t) => {
  for (const [kind, events] of [
    ['run', runEvents],
    ['benchmark', benchmarkEvents],
  ] as const) {
    const { write } = await jobOf(kind, 'child')
    const entry = await write(events.status('child', 'running'))
    const job = { kind: BUILT_IN.get(kind), parent: 'p' }
    t.match(processDialect.message(entry, job), { type: 'process_started', parent_id: 'p', attempt: 1, seq: 2 })
    t.same(JSON.parse(String(processDialect.body(entry, job))), processDialect.message(entry, job))
    t.notOk('parent_id' in (processDialect.message(entry, { ...job, parent: null }) ?? {}))
  }
})

t.test('[POS-1] [PROC-3] what has no message is said in prev by the next one that has', async (t) => {
  const { write } = await jobOf('run', 'r')
  await write(runEvents.status('r', 'running'))
  const metric = await write(runEvents.metric('r', 'f', 1, 'Hz'))
  const at = { percent: 1, phase: 'solving', message: '', elapsed_s: 1 } as const
  const progress = await write(runEvents.progress('r', at))
  const frames = new EntryFrames(processDialect, new HubTally())
  const RUN = { kind: BUILT_IN.get('run'), parent: null }
  t.equal(frames.following(metric, RUN, 2), null)
  const frame = frames.following(progress, RUN, 2)
  t.match(JSON.parse(String(frame?.payload)), { type: 'process_progress', seq: 4, prev: 2 })
  t.notMatch(JSON.parse(String(frames.following(progress, RUN, 3)?.payload)), { prev: Number })
  t.equal(frames.following(progress, RUN, 2), frame, 'built once for all who are there')
})

const WAYS: Readonly<Record<string, readonly ('running' | 'retrying' | 'paused' | 'cancelling')[]>> = {
  queued: [],
  running: ['running'],
  retrying: ['running', 'retrying'],
  paused: ['running', 'paused'],
  cancelling: ['running', 'cancelling'],
}

t.test('[PROC-1] the view of a job in every state, of every kind', async (t) => {
  const ends = {
    run: {
      completed: runEvents.completed('j', { compute_time_s: 1, metrics_summary: {} }, LAST),
      failed: runEvents.failed('j', { error: 'e', code: 'solver_error', log_tail: '' }, LAST),
      cancelled: runEvents.cancelled('j', LAST),
    },
    benchmark: {
      completed: benchmarkEvents.completed('j', { compute_time_s: 1 }, {}),
      failed: benchmarkEvents.failed('j', { error: 'e', code: 'solver_error', log_tail: '' }, {}),
      cancelled: benchmarkEvents.cancelled('j', {}),
    },
  }
  for (const kind of ['run', 'benchmark'] as const) {
    const events = kind === 'run' ? runEvents : benchmarkEvents
    for (const [status, way] of Object.entries(WAYS)) {
      const { write, state } = await jobOf(kind, 'j')
      for (const step of way) await write(events.status('j', step))
      const view = processView(await state())
      t.ok(isView.Check(view), `${kind} ${status}: ${JSON.stringify(isView.Errors(view))}`)
      const started_at = way.length > 0 ? String : null
      t.match(view, { process_id: 'j', status, attempt: 1, progress: null, started_at, finished_at: null, seq: way.length + 1 })
    }
    for (const [status, end] of Object.entries(ends[kind])) {
      const { write, state } = await jobOf(kind, 'j')
      await write(events.status('j', 'running'))
      await write(end)
      const view = processView(await state())
      t.ok(isView.Check(view), `${kind} ${status}`)
      t.match(view, { status, finished_at: String, progress: kind === 'run' ? { total: 100 } : null })
    }
  }
})

t.test('[PROC-9] a new round begins without the progress and the end of the one before', async (t) => {
  const { write, state } = await jobOf('run', 'r')
  await write(runEvents.status('r', 'running'))
  await write(runEvents.progress('r', { percent: 60, phase: 'solving', message: 'm', elapsed_s: 1 }))
  await write(runEvents.cancelled('r', { percent: 60 }))
  await write({ ...runEvents.status('r', 'queued'), clears: 'round' })
  t.match(processView(await state()), { status: 'queued', attempt: 1, progress: null, started_at: null, finished_at: null, seq: 5 })
  t.equal(processFinal(await state()), null)
})
