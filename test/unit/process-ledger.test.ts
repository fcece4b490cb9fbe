import t from 'tap'
import { ProcessLedger } from '../../src/client/process-ledger.js'
import { applyProcess, type LiveProcessMessage, MAX_RESULTS, newProcess, type Process } from '../../src/client/process-view.js'
import { Proof } from '../../src/client/proof.js'
import { SharedMap } from '../../src/client/shared-map.js'
import { processDialect, processFinal, processView } from '../../src/core/dialect.js'
import type { Entry, JobEvent } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'
import type { ProcessList, ProcessSnapshot, ProcessView } from '../../src/protocol/process-messages.js'
import { newJob } from '../contract/test-job.js'
import { MemoryBroker } from '../support/memory-broker.js'
import { random } from '../support/random.js'

const events = processEvents('benchmark')
const ID = 'bench-1'

interface Moment {
  readonly state: ProcessView
  readonly final: object | null
  /** What leads here from the moment before. */
  readonly message: LiveProcessMessage
  readonly isTick: boolean
  /** Results of the attempt that goes on. */
  readonly results: readonly number[]
}

/** A benchmark's whole life, entry by entry: handed back, lost, failed, retried, cancelled, retried and completed. */
async function lifeOf(): Promise<Moment[]> {
  const memory = new MemoryBroker()
  const moments: Moment[] = []
  const heard: Entry[] = []
  memory.listen({ entry: (entry) => heard.push(entry), gap: () => {} })
  await memory.subscribe(ID)
  let [round, n] = [1, 0]
  let results: number[] = []
  const look = async () => {
    const state = (await memory.read(ID))?.state
    const entry = heard.at(-1)
    const body = entry && state && processDialect.body(entry, state)
    if (!state || !body) throw new Error('a life goes on')
    const message = JSON.parse(body.toString()) as LiveProcessMessage
    if (message.type === 'process_retrying' || (message.type === 'process_queued' && moments.at(-1)?.final)) results = []
    if (message.type === 'process_result') results = [...results, Number((message.result as { n: number }).n)]
    moments.push({ state: processView(state), final: processFinal(state), message, isTick: entry.class === 'transient', results })
  }
  const write = async (event: JobEvent, isControl = false) => {
    n += 1
    const answer = await memory.publish(ID, [event], isControl ? { round, token: 0, n: 0 } : { round, token: 1, n })
    if (!answer.ok) throw new Error(answer.reason)
    await look()
  }
  const step = async (current: number) => {
    await write(events.progress(ID, { current, total: 10, detail: `${current}` }))
    await write(events.result(ID, { n: current }))
  }
  const retry = async () => {
    round += 1
    n = 0
    await write({ ...events.status(ID, 'queued'), clears: 'round' }, true)
  }
  await memory.create(newJob({ id: ID, kind: 'benchmark' }), events.status(ID, 'queued'))
  await look()
  await write(events.status(ID, 'running'))
  await step(1)
  await write(events.status(ID, 'queued', 'the worker stops'))
  await write(events.status(ID, 'running'))
  await step(2)
  await write({ ...events.status(ID, 'retrying'), clears: 'attempt' })
  await write(events.status(ID, 'running'))
  await step(1)
  await step(2)
  await write(events.failed(ID, { error: 'x', code: 'timeout', log_tail: '' }, { progress: { current: 2, total: 10, detail: 'at' } }), true)
  await retry()
  await write(events.status(ID, 'running'))
  await step(1)
  await write(events.status(ID, 'cancelling'), true)
  await write(events.cancelled(ID, {}), true)
  await retry()
  await write(events.status(ID, 'running'))
  for (const current of [1, 2, 3]) await step(current)
  await write(events.completed(ID, { compute_time_s: 1 }, {}), true)
  return moments
}

const TIME = { timestamp: '2026-01-01T00:00:00.000Z' }

function listOf(moment: Moment, extra: Partial<ProcessList> = {}): ProcessList {
  const isFinal = moment.state.finished_at !== null
  return { type: 'process_list', processes: isFinal ? [] : [moment.state], recent: isFinal ? [moment.state] : [], ...TIME, ...extra }
}

function snapshotOf({ state }: Moment, recovered: boolean): ProcessSnapshot {
  return { type: 'subscribed', process_id: ID, process: state, seq: state.seq, epoch: state.epoch, recovered, ...TIME }
}

/** All durable messages, and the latest tick, of some moments. */
function missed(moments: readonly Moment[]): LiveProcessMessage[] {
  const isSuperseded = (i: number) => moments.slice(i + 1).some(({ isTick, message }) => isTick || message.type === 'process_retrying')
  return moments.filter(({ isTick }, i) => !isTick || !isSuperseded(i)).map(({ message }) => message)
}

function without(process: Process | undefined, ...names: (keyof Process)[]): object {
  return Object.fromEntries(Object.entries(process ?? {}).filter(([name]) => !names.includes(name as keyof Process)))
}

t.test('[PROC-2] [PROC-9] told from its first message, a process is at each moment what a list says', async (t) => {
  const moments = await lifeOf()
  t.ok(moments.length > 25)
  const ledger = new ProcessLedger(10)
  for (const [i, { message, state, final, results }] of moments.entries()) {
    t.equal(ledger.follow(i === 0 ? { ...message, epoch: state.epoch } : message), 'applied')
    const process = ledger.view.get(ID)
    // Heard of, it has the time of its first message.
    t.same(without(process, 'results', 'final', 'created_at'), without(state as Process, 'created_at'), message.type)
    t.same(process?.final ?? null, final)
    t.same(
      process?.results.map(({ n }) => n),
      results,
    )
    t.equal(ledger.follow(message), 'known')
  }
})

t.test('[PROC-1] [POS-4] wherever the line was cut and came back, nothing is lost and nothing is told twice', async (t) => {
  const moments = await lifeOf()
  for (const [i, start] of moments.entries()) {
    for (const [j, end] of moments.entries()) {
      if (j < i) continue
      const ledger = new ProcessLedger(10)
      t.same(ledger.list(listOf(start)), [])
      const behind = ledger.list(listOf(end))
      t.same(behind, i === j ? [] : [ID])
      if (i === j) continue
      // What comes live before the answer cannot be used.
      const after = moments[j + 1]
      if (after) t.equal(ledger.follow(after.message), 'gap')
      const position = ledger.position(ID)
      const isWhole = start.state.finished_at !== null // of which the list did not tell the final message
      t.same(position, isWhole ? null : { epoch: start.state.epoch, seq: start.state.seq })
      if (isWhole) continue
      ledger.open(snapshotOf(end, true))
      const between = missed(moments.slice(i + 1, j + 1))
      for (const message of between) t.equal(ledger.follow(message), 'applied')
      for (const message of between) t.equal(ledger.follow(message), 'known')
      const process = ledger.view.get(ID)
      t.same(without(process, 'results', 'final'), end.state, `${i} to ${j}`)
      t.same(process?.final ?? null, end.final)
      const told = process?.results.map(({ n }) => n) ?? []
      t.same(told, end.results.slice(end.results.length - told.length))
      for (const later of moments.slice(j + 1)) ledger.follow(later.message)
      const last = ledger.view.get(ID)
      t.equal(last?.status, 'completed')
      t.same(
        last?.results.map(({ n }) => n),
        [1, 2, 3].slice(3 - (last?.results.length ?? 0)),
      )
    }
  }
})

t.test('[POS-3] a replay that is cut off is asked for again from where it ended', async (t) => {
  const moments = await lifeOf()
  const [start, end] = [moments[2], moments[9]]
  if (!start || !end) throw new Error('a life has a beginning')
  const ledger = new ProcessLedger(10)
  ledger.list(listOf(start))
  ledger.list(listOf(end))
  ledger.open(snapshotOf(end, true))
  const [first, ...rest] = missed(moments.slice(3, 10))
  t.ok(first && ledger.follow(first) === 'applied')
  t.same(ledger.position(ID), { epoch: start.state.epoch, seq: first?.seq })
  ledger.open(snapshotOf(end, true))
  t.equal(first && ledger.follow(first), 'known')
  for (const message of rest) t.equal(ledger.follow(message), 'applied')
})

t.test('[POS-6] in another epoch the hub is asked whether the history goes on', async (t) => {
  const [, start] = await lifeOf()
  if (!start) throw new Error('a life has a beginning')
  const ledger = new ProcessLedger(10)
  ledger.list(listOf(start))
  const other = { ...start, state: { ...start.state, epoch: 'another', seq: 1 } }
  t.same(ledger.list(listOf(other)), [ID])
  const { epoch, seq } = start.state
  t.same(ledger.position(ID), { epoch, seq })
  ledger.open(snapshotOf(other, false))
  t.match(ledger.view.get(ID), { epoch: 'another', seq: 1 })
  t.same(ledger.position(ID), { epoch: 'another', seq: 1 })
})

t.test('[PROC-8] after a dropped backlog only what the hub has never told of is asked for', async (t) => {
  const moments = await lifeOf()
  const [, start, , later] = moments
  if (!start || !later) throw new Error('a life has a beginning')
  const ledger = new ProcessLedger(10)
  ledger.list(listOf(start))
  const unheard = { ...later.state, process_id: 'unheard' }
  t.same(ledger.list({ ...listOf(later), processes: [later.state, unheard], resync: true }), ['unheard'])
  t.same(ledger.position('unheard'), { epoch: later.state.epoch, seq: 0 })
  t.equal(ledger.position(ID)?.seq, start.state.seq, 'the hub brings this one up to date by itself')
})

t.test('[PROC-8] [POS-6] a resync in a new epoch asks for the final messages that it no longer knows', async (t) => {
  const end = (await lifeOf()).find(({ final }) => final)
  if (!end) throw new Error('a life has an end')
  const ledger = new ProcessLedger(10)
  ledger.list(listOf(end))
  ledger.open(snapshotOf(end, true))
  ledger.follow({ ...end.message, prev: 0 })
  t.same(ledger.list({ ...listOf(end), resync: true }), [], 'nothing in the same epoch')
  const other = { ...end, state: { ...end.state, epoch: 'another' } }
  t.same(ledger.list({ ...listOf(other), resync: true }), [ID])
  ledger.open(snapshotOf(other, false))
  t.same(ledger.list(listOf(other)), [ID], 'again, if the connection was cut before the final message')
  t.equal(ledger.position(ID), null)
  ledger.open(snapshotOf(other, false))
  t.equal(ledger.follow({ ...end.message, prev: 0 }), 'applied')
  t.match(ledger.view.get(ID), { epoch: 'another', final: { seq: end.message.seq } })
  t.same(ledger.list(listOf(other)), [])
})

t.test('a process of which the beginning is missing is a gap', async (t) => {
  const [, second] = await lifeOf()
  const ledger = new ProcessLedger(10)
  t.equal(second && ledger.follow(second.message), 'gap')
  t.equal(ledger.position(ID), null)
  t.equal(ledger.view.size, 0)
})

t.test('memory is bounded: the oldest that have ended go, and the oldest results', async (t) => {
  const [first] = await lifeOf()
  if (!first) throw new Error('a life has a beginning')
  const ledger = new ProcessLedger(40)
  const ended = (i: number) => ({ ...first.state, process_id: `p${i}`, status: 'failed' as const, finished_at: `${i}` })
  const states = Array.from({ length: 60 }, (_, i) => ended(i))
  ledger.list({ ...listOf(first), processes: [first.state], recent: states.toReversed() })
  t.same([...ledger.view.keys()], [...states.slice(20).map(({ process_id }) => process_id), ID])
  let process = newProcess(first.message)
  for (let i = 0; i < MAX_RESULTS + 5; i += 1) {
    const message = { ...first.message, type: 'process_result', result: { i }, seq: i + 1 } as LiveProcessMessage
    process = applyProcess(process, message)
  }
  t.equal(process.results.length, MAX_RESULTS)
  t.same(process.results.at(-1), { i: MAX_RESULTS + 4 })
})

t.test('[POS-1] [POS-2] the proof: next, replay, known or gap', async (t) => {
  const proof = new Proof()
  t.equal(proof.position, null)
  t.equal(proof.open({ epoch: 'e', seq: 5, recovered: false, isFinal: false }), false)
  const verdicts = [3, 5, 3, 6, 6].map((seq) => proof.judge({ seq }, false))
  t.same(verdicts, ['replay', 'replay', 'known', 'next', 'known'])
  t.equal(proof.judge({ seq: 8 }, false), 'gap')
  t.equal(proof.judge({ seq: 9, prev: 7 }, false), 'gap')
  t.equal(proof.judge({ seq: 9, prev: 6 }, false), 'next')
  t.same(proof.position, { epoch: 'e', seq: 9 })
  // A state that has ended: without its final message there is nothing to go on from.
  t.equal(proof.open({ epoch: 'f', seq: 9, recovered: false, isFinal: true }), false)
  t.equal(proof.position, null)
  t.equal(proof.judge({ seq: 9 }, true), 'replay')
  t.same(proof.position, { epoch: 'f', seq: 9 })
  t.equal(proof.open({ epoch: 'f', seq: 9, recovered: false, isFinal: true }), true, 'it has been told')
  t.equal(proof.judge({ seq: 9 }, true), 'known')
})

t.test('views are snapshots that share what has not changed, whatever is changed after', async (t) => {
  const map = new SharedMap<number>()
  const model = new Map<string, number>()
  const kept: [view: ReadonlyMap<string, number>, entries: [string, number][]][] = []
  const next = random(1)
  for (let i = 1; i <= 2000; i += 1) {
    const key = `k${Math.floor(next() * 60)}`
    const isSet = next() < 0.7
    for (const each of [map, model]) isSet ? each.set(key, i) : each.delete(key)
    if (next() < 0.2) kept.push([map.snapshot(), [...model]])
    if (map.size !== model.size || map.get(key) !== model.get(key) || map.has(key) !== model.has(key)) t.fail(`step ${i}`)
  }
  for (const [view, entries] of kept) {
    if (view.size !== entries.length || JSON.stringify([...view]) !== JSON.stringify(entries)) t.fail('a snapshot has changed')
  }
  t.equal(map.snapshot(), map.snapshot(), 'the same one until something changes')
  const told: string[] = []
  map.forEach((value, key) => {
    told.push(`${key} ${value}`)
  })
  t.same(
    told,
    [...model].map(([key, value]) => `${key} ${value}`),
  )
  t.same([[...map.keys()], [...map.values()]], [[...model.keys()], [...model.values()]])
})

t.test('a change of one process leaves all others, and earlier views, as they were', async (t) => {
  const ledger = new ProcessLedger(100)
  const base: Omit<ProcessView, 'process_id'> = {
    process_type: 'benchmark',
    status: 'running',
    attempt: 1,
    stale: false,
    progress: null,
    created_at: '',
    started_at: null,
    finished_at: null,
    seq: 1,
    epoch: 'e',
  }
  const processes = Array.from({ length: 500 }, (_, i) => ({ ...base, process_id: `p${i}` }))
  ledger.list({ type: 'process_list', processes, recent: [], timestamp: '' })
  const before = ledger.view
  const progress = { current: 1, total: 2, detail: '' }
  ledger.follow({ type: 'process_progress', process_id: 'p7', process_type: 'benchmark', progress, timestamp: '', seq: 2 })
  const after = ledger.view
  t.not(after, before)
  t.same([before.get('p7')?.progress, after.get('p7')?.progress], [null, progress])
  t.equal(after.get('p8'), before.get('p8'))
})
