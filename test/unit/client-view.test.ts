import t from 'tap'
import { apply, isSnapshot, type JobSnapshot, type JobView, type LiveMessage, viewOf } from '../../src/client/job-view.js'
import { runDialect } from '../../src/core/dialect.js'
import { controlWriter, type Entry, type JobEvent, messageOf } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { optimizationEvents } from '../../src/kinds/optimization/events.js'
import type { RunSnapshot } from '../../src/protocol/run-messages.js'
import { entering, metric, progress, TestJob } from '../contract/test-job.js'
import { MemoryBroker } from '../support/memory-broker.js'

interface Moment {
  readonly snapshot: RunSnapshot
  /** The final message, where the round has ended. */
  readonly final: object | null
  /** What leads here from the moment before; absent at birth. */
  readonly entry: Entry
}

/** A job's whole life, entry by entry: handed back, run again, lost with its worker, cancelled in each way, failed, retried and completed. */
async function lifeOf(): Promise<Moment[]> {
  const memory = new MemoryBroker()
  const moments: Moment[] = []
  let reading = Promise.resolve()
  memory.listen({
    entry: (entry) => {
      // The state is read in the turn of its entry: a memory broker answers with what it is now.
      const now = memory.read(entry.id)
      reading = reading.then(async () => {
        const state = (await now)?.state
        if (!state) return
        const snapshot = runDialect.snapshot(state, { recovered: false }) as RunSnapshot // of a run, by the only kind there is
        const final = state.latest.get('final')
        moments.push({ snapshot, entry, final: final ? messageOf(final) : null })
      })
    },
    gap: () => {},
  })
  const id = 'run-1'
  await memory.subscribe(id)
  const job = await TestJob.create({ broker: memory, store: memory, prefix: '' }, { id })
  await job.enter('running')
  await job.write(progress(id, 10), metric(id, 'a', 1), progress(id, 20))
  await job.enter('queued')
  await job.enter('running')
  await job.write(progress(id, 30), metric(id, 'b', 2), metric(id, 'a', 3))
  await job.write({ ...entering(id, 'retrying'), clears: 'attempt' }, entering(id, 'running'))
  await job.write(progress(id, 5), metric(id, 'c', 4), progress(id, 6), progress(id, 7))
  await job.enter('paused')
  await job.enter('running')
  await job.control(entering(id, 'cancelling'))
  await job.control(runEvents.cancelled(id, { percent: 7, phase: 'solving', elapsed_s: 0.7 }))
  await job.retry()
  await job.enter('running')
  await job.write(progress(id, 50), metric(id, 'a', 5))
  await job.control(runEvents.failed(id, { error: 'x', code: 'timeout', log_tail: '' }, { percent: 50, phase: 'solving', elapsed_s: 5 }))
  await job.retry()
  await job.control(runEvents.cancelled(id, {}))
  await job.retry()
  await job.enter('running')
  await job.write(progress(id, 60))
  await job.enter('queued')
  await job.control(runEvents.cancelled(id, {}))
  await job.retry()
  await job.enter('running')
  await job.write(metric(id, 'a', 6), progress(id, 99.9))
  await job.control(
    runEvents.completed(id, { compute_time_s: 9, metrics_summary: { a: 6 } }, { percent: 99.9, phase: 'solving', elapsed_s: 9 }),
  )
  await reading
  return moments
}

function live(entry: Entry): LiveMessage {
  return JSON.parse(entry.body.toString()) as LiveMessage // every entry of a run is one
}

/** The view of who gets the snapshot of that moment now, and knows the final message. */
function expected({ snapshot, final }: Moment): JobView {
  return { ...viewOf(snapshot), final: final as JobView['final'] } // read from the entry with the key `final`
}

t.test('[CONN-5] a snapshot and the messages after it give the view that a later snapshot gives, wherever the cut lies', async (t) => {
  const moments = await lifeOf()
  t.ok(moments.length > 30)
  for (const [i, start] of moments.entries()) {
    let view = expected(start)
    for (const next of moments.slice(i + 1)) {
      view = apply(view, live(next.entry))
      t.same(view, expected(next), `from ${start.entry.seq} to ${next.entry.seq}`)
    }
  }
})

t.test('[SLOW-1] leaving out ticks that a later one with the same key supersedes changes nothing in the end', async (t) => {
  const moments = await lifeOf()
  const last = moments.length - 1
  for (const [i, start] of moments.entries()) {
    for (const [j, end] of moments.entries()) {
      if (j <= i) continue
      const entries = moments.slice(i + 1, j + 1).map((moment) => moment.entry)
      const isSuperseded = (entry: Entry, at: number) =>
        entry.class === 'transient' && entries.slice(at + 1).some((later) => later.key === entry.key || later.clears)
      const sent = entries.filter((entry, at) => !isSuperseded(entry, at))
      t.same(sent.map(live).reduce(apply, expected(start)), expected(end), `from ${i} to ${j} of ${last}`)
    }
  }
})

t.test('[CONN-6] a snapshot is told from a transition by `recovered`', async (t) => {
  const [first, second] = await lifeOf()
  t.ok(first && isSnapshot(first.snapshot))
  t.notOk(second && isSnapshot(live(second.entry)))
  t.notOk(isSnapshot({ type: 'progress' }))
})

t.test('the view has nothing of the envelope of its snapshot', async (t) => {
  const [first] = await lifeOf()
  const view = first && viewOf({ ...first.snapshot, resync: true })
  for (const name of ['type', 'recovered', 'resync', 'timestamp']) t.notOk(view && name in view, name)
  t.equal(view?.final, null)
})

t.test('a message of a later version moves the position and nothing else', async (t) => {
  const [first] = await lifeOf()
  if (!first) throw new Error('a life has a beginning')
  const view = expected(first)
  const unknown = { type: 'weather', seq: 9 } as unknown as LiveMessage // what this version does not know
  t.same(apply(view, unknown), { ...view, seq: 9 })
})

t.test('a view is never changed, only followed by another', async (t) => {
  const moments = await lifeOf()
  const [first] = moments
  if (!first) throw new Error('a life has a beginning')
  const view = Object.freeze(expected(first))
  Object.freeze(view.metrics)
  let now = view
  for (const { entry } of moments.slice(1)) {
    now = Object.freeze(apply(now, live(entry)))
    Object.freeze(now.metrics)
  }
  t.equal(now.status, 'completed')
  t.equal(view.status, 'queued')
})

t.test('[OPT-2] of an optimization the view has what was found: every message leads to what a snapshot of that moment says', async (t) => {
  const memory = new MemoryBroker()
  const id = 'opt'
  const record = {
    id,
    kind: 'optimization',
    owner: 'alice',
    solver: null,
    parent: null,
    input: '{}',
    digest: '',
    timeoutMs: 1000,
    generation: 'g',
  } as const
  await memory.create({ ...record, created_at: '2026-01-01T00:00:00.000Z' }, optimizationEvents.status(id, 'queued'))
  const point = { iteration: 1, run_id: 'r-1', parameters: { a: 1 }, metrics: { m: 2 } }
  const iteration = { iteration: 1, run_id: 'r-1', parameters: { a: 1 }, metrics: { m: 2 }, feasible: true, pareto_updated: true }
  const found = { generation: 1, total: 4, violation: 0, counters: { feasible: 1, failed: 0 } }
  const steps: (readonly JobEvent[])[] = [
    [optimizationEvents.status(id, 'running')],
    [optimizationEvents.iteration(id, { ...iteration, ...found })],
    [optimizationEvents.front(id, { iteration: 1, size: 1, points: [point], best: point })],
    [optimizationEvents.progress(id, { percent: 25, phase: 'evaluating', message: '1 of 4', elapsed_s: 1, evaluated: 1, total: 4 })],
    [optimizationEvents.status(id, 'paused')],
    [optimizationEvents.status(id, 'running')],
    [optimizationEvents.failed(id, { error: 'x', code: 'timeout', log_tail: '' }, { percent: 25, phase: 'evaluating', elapsed_s: 1 })],
    [{ ...optimizationEvents.status(id, 'queued'), clears: 'round' }],
  ]
  const now = async () => {
    const state = (await memory.read(id))?.state
    if (!state) throw new Error('no state')
    return { state, snapshot: runDialect.snapshot(state, { recovered: false }) as unknown as JobSnapshot } // of the run dialect
  }
  let view = viewOf((await now()).snapshot)
  for (const [i, events] of steps.entries()) {
    const round = events[0]?.clears ? 2 : 1
    await memory.publish(id, events, controlWriter(round))
    const { state, snapshot } = await now()
    const entry = [...state.latest.values()].at(-1)
    view = apply(view, (entry && messageOf(entry)) as unknown as LiveMessage) // as it was stored
    const { final: _final, ...told } = view
    const { final: _none, ...stored } = viewOf(snapshot)
    t.same(told, stored, `step ${i}`)
  }
})
