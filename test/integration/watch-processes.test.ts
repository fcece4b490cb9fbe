import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Process } from '../../src/client/process-view.js'
import { processFinal, processView } from '../../src/core/dialect.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { PlayedBenchmark } from '../support/played-benchmark.js'
import { random } from '../support/random.js'
import { Stage } from '../support/stage.js'
import { drainOne, ProcessesWatcher } from '../support/watcher.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1e9)

/**
 * A played job runs while its queue entry is on the way from the scheduler to BullMQ. A sweeper that looks at this moment
 * ends it, because no worker can have it then.
 */
const NOT_SWEPT = { SWEEP_INTERVAL_MS: '600000' }

async function stored(harness: Harness, id: string) {
  const state = (await harness.nodes[0]?.hub.parts.broker.read(id))?.state
  const page = await harness.nodes[0]?.hub.parts.store.history(id, 0, 1000)
  if (!state || !page) throw new Error(`${id} is gone`)
  return { state, logged: page.entries.map(({ seq }) => seq) }
}

/** The view of each process is what the hash holds, and each durable entry was messages once and in order. */
async function check(t: Test, harness: Harness, id: string, watcher: ProcessesWatcher): Promise<void> {
  const { state, logged } = await stored(harness, id)
  const { results: _results, final, ...view } = watcher.watch.view.get(id) ?? ({} as Partial<Process>)
  t.same(view, { ...processView(state), seq: view.seq })
  const { seq: finalSeq } = (processFinal(state) ?? {}) as { seq?: number }
  t.equal(final?.seq, finalSeq)
  t.same(
    watcher.persisted.get(id),
    logged.filter((seq) => seq > watcher.since(id)),
    id,
  )
}

t.test('[PROC-1] [PROC-2] [POS-8] what is there, and what begins later, each with its position', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2, env: NOT_SWEPT })
  const early = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await early.start()
  await early.step()
  const watcher = new ProcessesWatcher(h, () => 1)
  await watcher.watch.until((view) => view.get(early.id)?.progress?.current === 1)
  const late = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await late.start()
  await late.step()
  await early.step()
  await watcher.watch.until((view) => view.get(late.id)?.results.length === 1 && view.get(early.id)?.results.length === 1)
  t.equal(watcher.watch.view.get(late.id)?.epoch, (await stored(h, late.id)).state.epoch)
  await late.complete()
  await early.complete()
  await watcher.watch.until((view) => [early, late].every(({ id }) => view.get(id)?.final))
  for (const { id } of [early, late]) await check(t, h, id, watcher)
  t.same(h.faults, [])
})

t.test('[POS-4] [PROC-6] what went on, ended or lived its whole life while the line was cut is told exactly', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2, env: NOT_SWEPT })
  let node = 0
  const watcher = new ProcessesWatcher(h, () => node)
  const goes = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  const ends = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  const again = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  for (const job of [goes, ends, again]) await job.start()
  await again.fail()
  await watcher.watch.until((view) => view.get(goes.id)?.status === 'running' && view.get(again.id)?.final !== null)
  await watcher.watch.until((view) => view.get(ends.id)?.status === 'running')
  node = 7 // no such node: it cannot connect
  watcher.cut()
  for (const job of [goes, ends]) for (let i = 0; i < 3; i += 1) await job.step()
  await ends.complete()
  const lived = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await lived.start()
  await lived.step()
  await lived.complete()
  await again.retry()
  await again.start()
  await again.step()
  await again.complete()
  node = 1
  const jobs = [goes, ends, again, lived]
  await watcher.watch.until((view) => [ends, again, lived].every(({ id }) => view.get(id)?.final))
  await watcher.watch.until((view) => view.get(goes.id)?.results.length === 3)
  for (const { id } of jobs) await check(t, h, id, watcher)
  t.same(
    jobs.map(({ id }) => watcher.watch.view.get(id)?.results.map(({ run }) => run)),
    [[1, 2, 3], [1, 2, 3], [1], [1]],
  )
  t.same(h.faults, [])
})

t.test('a process that is not in the lists any more: ended long ago, it is told to its end; expired, it is dropped', async (t) => {
  const h = await startHarness(t, { processor: null, env: NOT_SWEPT })
  let node = 0
  const watcher = new ProcessesWatcher(h, () => node)
  const job = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  const expired = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  for (const one of [job, expired]) await one.start()
  await watcher.watch.until((view) => [...view.values()].filter(({ status }) => status === 'running').length === 2)
  node = 7
  watcher.cut()
  await job.complete()
  await expired.complete()
  for (let i = 0; i < 21; i += 1) {
    const other = await PlayedBenchmark.submit(h.nodes[0]?.hub)
    await other.start()
    await other.complete()
  }
  await h.nodes[0]?.hub.parts.broker.commands.unlink(`${h.config.REDIS_PREFIX}:{${expired.id}}`)
  node = 0
  await watcher.watch.until((view) => view.get(job.id)?.final?.type === 'process_completed' && !view.has(expired.id))
  t.match(
    watcher.messages.filter(({ type }) => type === 'refused'),
    [{ request: 'subscribe', process_id: expired.id, code: 'not_found' }],
  )
})

t.test('[PROC-6] [PROC-7] subscribe, unsubscribe and cancel, also over a reconnect', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const [kept, left] = [await h.submit({ id: 'kept' }), await h.submit({ id: 'left' })]
  const ended = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await ended.start()
  await ended.step()
  await ended.step()
  await ended.complete()
  const watcher = new ProcessesWatcher(h, () => 0)
  const { watch } = watcher
  await watch.until((view) => view.has(kept) && view.has(left) && view.has(ended.id))
  t.match(watch.view.get(ended.id), { status: 'completed', final: null, results: [] })
  watch.subscribe(ended.id)
  await watch.until((view) => view.get(ended.id)?.final?.type === 'process_completed')
  watch.subscribe(ended.id, { fromStart: true })
  await watch.until((view) => view.get(ended.id)?.results.length === 2)
  watch.unsubscribe(left)
  t.notOk(watch.view.has(left))
  const messages = watcher.messages.length
  watcher.cut()
  await watch.until(() => watcher.connects === 2 && watcher.messages.slice(messages).some(({ type }) => type === 'process_list'))
  ;(await stage.play(left)).job.progress({ percent: 5, phase: 'solving', message: 'unseen' })
  watch.cancel(kept)
  await watch.until((view) => view.get(kept)?.final?.type === 'process_cancelled')
  t.notOk(watch.view.has(left))
  t.notOk(watcher.messages.slice(messages).some((message) => 'process_id' in message && message.process_id === left))
  watch.subscribe(left)
  await watch.until((view) => view.get(left)?.progress?.detail === 'unseen')
  ;(await stage.play(left)).complete()
  await watch.until((view) => view.get(left)?.final?.type === 'process_completed')
  watch.cancel(left)
  await eventually(() => watcher.messages.at(-1)?.type === 'refused')
  t.match(watcher.messages.at(-1), { request: 'cancel_process', process_id: left, code: 'already_final' })
})

t.test('[PROC-3] the measurements of a run have no message here, and are not missed', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const watcher = new ProcessesWatcher(h, () => 0)
  const id = await h.submit()
  const { job, complete } = await stage.play(id)
  for (let i = 1; i <= 5; i += 1) {
    job.metric(`m${i}`, i, 'Hz')
    job.progress({ percent: i, phase: 'solving', message: `${i}` })
    await job.flush()
  }
  complete()
  await watcher.watch.until((view) => view.get(id)?.final?.type === 'process_completed')
  t.equal(watcher.messages.filter(({ type }) => type === 'subscribed').length, 0)
  t.equal(watcher.connects, 1)
})

t.test(
  `[POS-2] [DRAIN-2] [PROC-4] [PROC-9] many processes, clients that are cut off and told to move at random (CHAOS_SEED=${SEED})`,
  async (t) => {
    const h = await startHarness(t, { processor: null, nodes: 2, env: NOT_SWEPT })
    const next = random(SEED)
    const crowd = Array.from({ length: 6 }, () => new ProcessesWatcher(h, () => Math.floor(next() * 2)))
    await Promise.all(crowd.map(({ watch }) => watch.until(() => true)))
    const play = async () => {
      const job = await PlayedBenchmark.submit(h.nodes[Math.floor(next() * 2)]?.hub)
      await job.start()
      for (let i = 0; i < 30; i += 1) {
        await job.step()
        if (next() < 0.03) await job.lose()
        await sleep(next() * 8) // the rhythm of the steps; nothing is waited for
      }
      if (next() < 0.4) {
        await job.fail()
        await job.retry()
        await job.start()
        await job.step()
      }
      await job.complete()
      return job.id
    }
    let isOver = false
    let drains = 0
    const cutting = (async () => {
      while (!isOver) {
        if (next() < 0.5) crowd[Math.floor(next() * crowd.length)]?.cut()
        else drains += Number(drainOne(h, next))
        await sleep(10) // the rhythm of the cuts; nothing is waited for
      }
    })()
    const ids = (await Promise.all(Array.from({ length: 4 }, async () => [await play(), await play(), await play()]))).flat()
    isOver = true
    await cutting
    const isTold = (view: ReadonlyMap<string, Process>) => ids.every((id) => view.get(id)?.final?.type === 'process_completed')
    await Promise.all(crowd.map(({ watch }) => watch.until(isTold)))
    t.ok(drains > 10 && crowd.reduce((sum, { connects }) => sum + connects, 0) > 40, `${drains} drains`)
    for (const watcher of crowd) for (const id of ids) await check(t, h, id, watcher)
    t.same(h.faults, [])
  },
)
