import t from 'tap'
import { isFinal } from '../../src/protocol/status.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { measure, optimize, TWO_OBJECTIVES } from '../support/optimizations.js'
import { random } from '../support/random.js'
import type { Message } from '../support/test-client.js'

const SMALL = { ...TWO_OBJECTIVES, population: 6, generations: 3, parallel: 4 }
const TOTAL = SMALL.population * SMALL.generations
const KINDS = { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '2' }
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const numbersOf = (iterations: readonly Message[]) => iterations.map(({ iteration }) => iteration)

/** Obeys at once, and is quick. */
const measured: RunProcessor = async (input, job) => {
  job.signal.throwIfAborted()
  return { metrics_summary: measure(input) }
}

t.test('[OPT-5] [OPT-6] paused, resumed and cancelled at twenty random moments', async (t) => {
  const h = await startHarness(t, { nodes: 2, env: KINDS, processor: measured })
  const { broker } = h.nodes[0]?.hub.parts ?? {}
  const next = random(20_261_122)
  const below = (limit: number) => Math.floor(next() * limit)
  const post = (id: string, act: string) => h.call('POST', `/api/v2/optimizations/${id}/${act}`, { node: below(2) })
  const stateOf = async (id: string) => (await broker?.read(id))?.state
  const openRuns = async (id: string) => (await broker?.load(id))?.children ?? []

  const pauseAndResume = async (i: number) => {
    const id = await optimize(h, `paused-${i}`, SMALL)
    const client = await h.connect(id, { node: i % 2, path: 'optimizations' })
    const at = below(TOTAL - 10)
    await eventually(
      () => client.all('optimization_iteration').length >= at && client.all('status').some(({ status }) => status === 'running'),
    )
    t.match(await post(id, 'pause'), { status: 202, body: { status: 'paused' } }, `${id} after ${at}`)
    // What is computed goes on to its end; then nothing is left that could.
    await eventually(
      async () =>
        (await openRuns(id)).length === 0 ||
        (await Promise.all((await openRuns(id)).map(stateOf))).every((run) => !run || isFinal(run.status)),
    )
    const paused = client.all('optimization_iteration').length
    t.equal((await stateOf(id))?.status, 'paused')
    t.ok(paused < TOTAL)
    t.match(await post(id, 'resume'), { status: 202, body: { status: 'running' } })
    const completed = await client.next('completed')
    t.same(numbersOf(client.all('optimization_iteration')), upTo(TOTAL), `${id}: each once, in order`)
    t.match(completed.metrics_summary, { evaluations: TOTAL, failed: 0 }, 'what was taken back is no failure')
  }

  const cancel = async (i: number) => {
    const id = await optimize(h, `cancelled-${i}`, SMALL)
    const client = await h.connect(id, { node: i % 2, path: 'optimizations' })
    const at = below(TOTAL - 6)
    await eventually(() => client.all('optimization_iteration').length >= at)
    const runs = await openRuns(id)
    t.match(await post(id, 'cancel'), { status: 202 }, `${id} after ${at}`)
    const cancelled = await client.next('cancelled')
    t.same(numbersOf(client.all('optimization_iteration')), upTo(client.all('optimization_iteration').length))
    for (const run of [...runs, ...(await openRuns(id))]) await eventually(async () => isFinal((await stateOf(run))?.status ?? 'cancelled'))
    t.equal(client.messages.at(-1), cancelled, 'and nothing follows')
    await eventually(async () => (await broker?.load(id)) === null)
  }

  // Four at a time.
  const lane = async (act: (i: number) => Promise<void>, first: number) => {
    for (let i = first; i < 20; i += 4) await act(i)
  }
  for (const act of [pauseAndResume, cancel]) await Promise.all([0, 1, 2, 3].map((first) => lane(act, first)))
  t.same(h.faults, [])
})
