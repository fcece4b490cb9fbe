import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/config.js'
import { controlWriter, type JobEvent } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'
import type { ProcessProgress } from '../../src/protocol/process-messages.js'
import { JobFailure } from '../../src/worker/processor.js'
import { PROCESS_PROTOCOL, processProtocol } from '../contract/process-protocol.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import { hasEnded, messagesOf, openTab, submit, textsOf } from '../support/tab.js'
import { type Message, TestClient } from '../support/test-client.js'

const stage = new Stage()
const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '16' } })
const benchmarkEvents = processEvents('benchmark')
const [EXAMPLE = {}] = processProtocol.sectionOf('Message Format').examples

/** A benchmark as its worker would report it, written by the test. */
async function benchmark(id: string, owner = 'alice') {
  const { store, broker, feeds } = h.nodes[0]?.hub.parts ?? {}
  const record = { id, kind: 'benchmark', owner, input: '{}', digest: id, generation: randomBytes(6).toString('hex') } as const
  await store?.create(
    { ...record, timeoutMs: 3600_000, solver: null, parent: null, created_at: new Date().toISOString() },
    benchmarkEvents.status(id, 'queued'),
  )
  // No queue knows of it, which the sweeper would take for a loss.
  await store?.deactivate({ id, round: 1 })
  await feeds?.add(owner, id)
  const report = (event: JobEvent) => broker?.publish(id, [event], controlWriter(1))
  await report(benchmarkEvents.status(id, 'running'))
  const end = async () => {
    await report(benchmarkEvents.completed(id, { compute_time_s: 1 }, {}))
    await feeds?.remove(owner, id)
  }
  return { report, end }
}

/** A process of its type is told with the fields that the document gives to every message. */
function conforms(t: Test, message: Message, type: string, id: string): void {
  t.match(message, { type, process_id: id, process_type: 'solver', timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/ })
  t.ok(Math.abs(Date.parse(message.timestamp) - Date.now()) < 60_000)
}

/** The message of this type about a process, once it has come. */
function toldAs(tab: TestClient, id: string, type: string): Promise<Message> {
  return eventually(() => messagesOf(tab, id).find((message) => message.type === type))
}

/** A check for each name of a table or list of the document, in its order. */
function each(heading: string, names: readonly string[], checks: Readonly<Record<string, (t: Test) => Promise<void>>>): void {
  t.test(`${heading}: each has its check`, async (t) => t.same(Object.keys(checks), names))
  for (const [name, run] of Object.entries(checks)) t.test(`${heading}: ${name}`, run)
}

const namesOf = (heading: string) => processProtocol.rowsOf(heading).map(([name]) => name)

t.test('the document is read whole', async (t) => {
  t.equal(PROCESS_PROTOCOL.match(/```json/g)?.length, processProtocol.sections.flatMap(({ examples }) => examples).length)
  t.equal(namesOf('Server-to-Client').length, 6)
  t.equal(namesOf('Client-to-Server').length, 2)
  t.match(processProtocol.sectionOf('Current State: SSE').text, 'POST /api/benchmark', 'streams have tests of their own')
})

t.test('Connection: the address, with its port by default', async (t) => {
  const [, url = ''] = /^(ws:\S+)$/m.exec(processProtocol.sectionOf('Connection').text) ?? []
  const { port, pathname } = new URL(url)
  t.equal(loadConfig({}).PORT, Number(port))
  for (const node of h.nodes) {
    const client = new TestClient(`${node.ws}${pathname}?token=${h.token()}`)
    t.teardown(() => client.terminate())
    t.equal((await client.next()).type, 'process_list')
  }
})

t.test('Connection: authentication by a query parameter or an initial message', async (t) => {
  t.match(processProtocol.sectionOf('Connection').text, 'via a query parameter or initial message containing the JWT token')
  const [byQuery, byMessage, neither] = [`?token=${h.token()}`, '', '?token=forged'].map((query) => {
    const client = new TestClient(`${h.nodes[0]?.ws}/ws${query}`)
    t.teardown(() => client.terminate())
    return client
  })
  t.equal((await byQuery?.next())?.type, 'process_list')
  await byMessage?.opened
  byMessage?.send({ type: 'auth', token: h.token() })
  t.same([(await byMessage?.next())?.type, (await byMessage?.next())?.type], ['authenticated', 'process_list'])
  t.equal((await neither?.closed)?.code, 4001)
  t.same(neither?.messages, [])
})

each('Server-to-Client', namesOf('Server-to-Client'), {
  process_started: async (t) => {
    const tab = await openTab(h)
    const id = await submit(h, 'spec-started')
    conforms(t, await toldAs(tab, id, 'process_started'), 'process_started', id)
    ;(await stage.play(id)).complete()
  },
  process_progress: async (t) => {
    const tab = await openTab(h, 1)
    const id = await submit(h, 'spec-progress')
    const { job, complete } = await stage.play(id)
    job.progress({ percent: 45, phase: 'solving', message: 'Sweep: 9/21' })
    const message = await toldAs(tab, id, 'process_progress')
    conforms(t, message, 'process_progress', id)
    t.match(message.progress, { current: 45, total: 100, detail: 'Sweep: 9/21' })
    complete()
  },
  process_completed: async (t) => {
    const tab = await openTab(h)
    const id = await submit(h, 'spec-completed')
    ;(await stage.play(id)).complete({ natural_frequency_hz: 19_955.6 })
    const message = await toldAs(tab, id, 'process_completed')
    conforms(t, message, 'process_completed', id)
    t.same(message.result, { natural_frequency_hz: 19_955.6 })
  },
  process_failed: async (t) => {
    const tab = await openTab(h)
    const id = await submit(h, 'spec-failed')
    ;(await stage.play(id)).fail(new JobFailure('solver_error', 'no convergence'))
    const message = await toldAs(tab, id, 'process_failed')
    conforms(t, message, 'process_failed', id)
    t.equal(message.error, 'no convergence')
  },
  process_cancelled: async (t) => {
    const tab = await openTab(h)
    const id = await submit(h, 'spec-cancelled')
    await stage.play(id)
    await h.call('POST', `/api/v2/runs/${id}/cancel`)
    conforms(t, await toldAs(tab, id, 'process_cancelled'), 'process_cancelled', id)
  },
  process_list: async (t) => {
    const active = await Promise.all(['spec-listed-1', 'spec-listed-2'].map((id) => submit(h, id)))
    const plays = await Promise.all(active.map((id) => stage.play(id)))
    plays[0]?.job.progress({ percent: 30, phase: 'solving', message: '' })
    await plays[0]?.job.flush()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${active[0]}`)).body.percent === 30)
    const tab = await openTab(h, 1)
    t.equal(tab.messages[0].type, 'process_list', 'on connect, before anything else')
    const listed = new Set(tab.messages[0].processes.map(({ process_id }: Message) => process_id))
    for (const id of active) t.ok(listed.has(id))
    const view = tab.messages[0].processes.find(({ process_id }: Message) => process_id === active[0])
    t.match(view, { process_type: 'solver', status: 'running', progress: { current: 30, total: 100 } })
    for (const { complete } of plays) complete()
    for (const id of active) await eventually(() => hasEnded(tab, id))
  },
})

each('Client-to-Server', namesOf('Client-to-Server'), {
  cancel_process: async (t) => {
    const tab = await openTab(h)
    const id = await submit(h, 'spec-cancel')
    await stage.play(id)
    tab.send({ type: 'cancel_process', process_id: id })
    t.ok(await toldAs(tab, id, 'process_cancelled'))
  },
  subscribe: async (t) => {
    const id = await submit(h, 'spec-subscribe')
    const { job, complete } = await stage.play(id)
    const tab = await openTab(h)
    tab.send({ type: 'subscribe', process_id: id })
    t.match(await tab.next('subscribed'), { process_id: id, process: { status: 'running' } })
    job.progress({ percent: 1, phase: 'meshing', message: '' })
    t.ok(await toldAs(tab, id, 'process_progress'), 'updates for that process')
    complete()
  },
})

t.test('Message Format: the example, to the letter', async (t) => {
  const tab = await openTab(h, 1)
  const id = String(EXAMPLE.process_id)
  const { report, end } = await benchmark(id)
  await report(benchmarkEvents.progress(id, EXAMPLE.progress as ProcessProgress))
  const message = await toldAs(tab, id, 'process_progress')
  for (const [name, value] of Object.entries(EXAMPLE)) if (name !== 'timestamp') t.same(message[name], value, name)
  t.equal(typeof message.timestamp, typeof EXAMPLE.timestamp)
  t.same(Object.keys(message).slice(0, Object.keys(EXAMPLE).length), Object.keys(EXAMPLE), 'its fields in its order, ours after them')
  const view = (await openTab(h)).messages[0].processes.find(({ process_id }: Message) => process_id === id)
  t.match(view, { process_id: id, process_type: EXAMPLE.process_type, progress: EXAMPLE.progress })
  await end()
})

each('Multi-Tab Synchronization', processProtocol.itemsOf('Multi-Tab Synchronization'), {
  'Starting a benchmark in one tab and monitoring it in another': async (t) => {
    const tabs = [await openTab(h), await openTab(h, 1)]
    const { report, end } = await benchmark('spec-two-tabs')
    for (const tab of tabs) await tab.next('process_started')
    await report(benchmarkEvents.progress('spec-two-tabs', { current: 1, total: 2, detail: '' }))
    for (const tab of tabs) await toldAs(tab, 'spec-two-tabs', 'process_progress')
    await end()
    for (const tab of tabs) await eventually(() => hasEnded(tab, 'spec-two-tabs'))
    const [one, other] = tabs.map((tab) => textsOf(tab, 'spec-two-tabs'))
    t.same(one, other, 'the same status updates')
  },
  'Closing and reopening the browser without losing process visibility': async (t) => {
    const { report, end } = await benchmark('spec-reopened')
    const before = await openTab(h)
    await before.close()
    await report(benchmarkEvents.progress('spec-reopened', { current: 7, total: 12, detail: 'Run 2/3, Context 5K' }))
    const after = await openTab(h, 1)
    const view = after.messages[0].processes.find(({ process_id }: Message) => process_id === 'spec-reopened')
    t.match(view, { status: 'running', progress: { current: 7, total: 12 } })
    await end()
    await eventually(() => hasEnded(after, 'spec-reopened'))
  },
  'Multiple users seeing their own processes simultaneously': async (t) => {
    const [alice, bob] = [await openTab(h), await openTab(h, 0, 'bob')]
    const [ofAlice, ofBob] = [await benchmark('spec-of-alice'), await benchmark('spec-of-bob', 'bob')]
    await Promise.all([ofAlice.end(), ofBob.end()])
    await eventually(() => hasEnded(alice, 'spec-of-alice') && hasEnded(bob, 'spec-of-bob'))
    t.same([messagesOf(alice, 'spec-of-bob'), messagesOf(bob, 'spec-of-alice')], [[], []])
  },
})

t.test('nothing went wrong on the way', async (t) => t.same(h.faults, []))
