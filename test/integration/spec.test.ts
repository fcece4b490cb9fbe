import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { watchJob } from '../../src/client/watch-job.js'
import { type Job, JobFailure } from '../../src/worker/processor.js'
import { solveRun } from '../../workers/solver/horn-2d.js'
import { itemsOf, RUN_PROTOCOL, SECTIONS, sectionOf } from '../contract/run-protocol.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { type Message, TestClient } from '../support/test-client.js'

type Script = (job: Job<'run'>) => Promise<{ metrics_summary: Record<string, number> }>

/** What runs do, by their id; any other is solved. */
const scripts = new Map<string, Script>()
const h = await startHarness(t, {
  nodes: 2,
  env: { WORKER_KINDS: 'run,optimization' },
  processor: (input, job) => scripts.get(job.id)?.(job) ?? solveRun(input, job),
})

/** A run that does what the test tells it to: each step is taken when it is released. */
function scripted(id: string, ...steps: ((job: Job<'run'>) => void)[]) {
  const releases: (() => void)[] = []
  const gates = [...steps, () => {}].map(() => new Promise<void>((release) => releases.push(release)))
  scripts.set(id, async (job) => {
    for (const [i, gate] of gates.entries()) {
      job.signal.throwIfAborted()
      await Promise.race([gate, aborted(job.signal)])
      steps[i]?.(job)
    }
    return { metrics_summary: { natural_frequency_hz: 19_955.6 } }
  })
  return { next: () => releases.shift()?.() }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

const solving = (percent: number) => (job: Job<'run'>) => job.progress({ percent, phase: 'solving', message: `${percent} %` })
const metric = (value: number) => (job: Job<'run'>) => job.metric('natural_frequency_hz', value, 'Hz')

/** Every field of the example is there with the type of the example's; ids, times and names are what they must be. */
function conforms(t: Test, message: Message, example: Readonly<Record<string, unknown>>, id: string): void {
  for (const [name, value] of Object.entries(example)) {
    t.ok(name in message, `${example.type} has ${name}`)
    t.equal(typeof message[name], typeof value, `${name}: ${JSON.stringify(message[name])}`)
    if (typeof value === 'object' && value !== null) conforms(t, message[name], value as Record<string, unknown>, id)
  }
  if ('type' in example) t.equal(message.type, example.type)
  if ('run_id' in example) t.equal(message.run_id, id)
  if ('status' in example) t.equal(message.status, example.status)
  if ('timestamp' in example) {
    t.match(message.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    t.ok(Math.abs(Date.parse(message.timestamp) - Date.now()) < 60_000)
  }
}

function exampleOf(heading: string): Readonly<Record<string, unknown>> {
  const [example] = sectionOf(heading).examples
  if (!example) throw new Error(`${heading} has no example`)
  return example
}

t.test('the document is read whole', async (t) => {
  t.equal(RUN_PROTOCOL.match(/```json/g)?.length, SECTIONS.flatMap((section) => section.examples).length)
  t.equal(itemsOf('Connection Lifecycle').length, 5)
  t.equal(itemsOf('Reconnection').length, 3)
})

t.test('Progress Update, Metric Update (streamed during solve), Run Completed', async (t) => {
  const id = await h.submit()
  const client = await h.connect(id)
  const completed = await client.next('completed')
  conforms(t, completed, exampleOf('Run Completed'), id)
  t.ok(completed.compute_time_s > 0)
  const history = await h.call('GET', `/api/v2/runs/${id}/events?limit=1000`)
  const updates: Message[] = history.body.events.filter((event: Message) => event.type === 'metric_update')
  for (const [name, value] of Object.entries(completed.metrics_summary)) {
    t.equal(updates.findLast((update) => update.metric_name === name)?.value, value, `${name} was streamed`)
  }
  for (const update of updates) conforms(t, update, exampleOf('Metric Update (streamed during solve)'), id)
  const progress = client.messages.filter((message) => message.type === 'progress')
  t.ok(progress.length > 0)
  for (const update of progress) conforms(t, update, exampleOf('Progress Update'), id)
})

t.test('Phases', async (t) => {
  const [, list = ''] = /^Phases: (.+)$/m.exec(RUN_PROTOCOL) ?? []
  const phases = [...list.matchAll(/`(\w+)`/g)].map(([, phase]) => phase)
  t.same(phases, ['meshing', 'solving', 'postprocessing'])
  const id = 'run-through-all-phases'
  const run = scripted(
    id,
    ...phases.map((phase, i) => (job: Job<'run'>) => job.progress({ percent: i, phase: phase as 'solving', message: '' })),
  )
  await h.submit({ id })
  const client = await h.connect(id)
  for (const phase of phases) {
    run.next()
    t.equal((await client.next('progress')).phase, phase)
  }
  run.next()
  await client.next('completed')
})

t.test('Run Error', async (t) => {
  const id = 'run-that-fails'
  const example = exampleOf('Run Error')
  scripts.set(id, async (job) => {
    for (let i = 1; i <= 12; i += 1) job.log(`line ${i}`)
    throw new JobFailure('solver_error', String(example.error))
  })
  await h.submit({ id })
  const message = await (await h.connect(id)).next('error')
  conforms(t, message, example, id)
  t.equal(message.error, example.error)
  const last10 = Array.from({ length: 10 }, (_, i) => `line ${i + 3}`)
  t.match(example.solver_log_tail, 'last 10 lines')
  t.same(message.solver_log_tail.split('\n'), last10)
})

t.test('Optimization Progress: `WS /api/v2/ws/optimizations/{optimization_id}`, Optimization Iteration Complete', async (t) => {
  const [, address = ''] =
    /`WS (.+)`/.exec(sectionOf('Optimization Progress: `WS /api/v2/ws/optimizations/{optimization_id}`').heading) ?? []
  const example = exampleOf('Optimization Iteration Complete')
  const names = Object.keys(example.parameters as object)
  const input = {
    base: HORN,
    variables: names.map((name) => ({ name, min: Number(HORN[name as 'width_mm']) * 0.95, max: Number(HORN[name as 'width_mm']) * 1.05 })),
    objectives: Object.keys(example.metrics as object).map((metric) => ({ metric, direction: 'maximize' })),
    population: 4,
    generations: 1,
  }
  const submitted = await h.call('POST', '/api/v2/optimizations', { body: input })
  t.equal(submitted.status, 202)
  const id = submitted.body.optimization_id
  const client = new TestClient(`${h.nodes[0]?.ws}${address.replace('{optimization_id}', id)}?token=${h.token()}`)
  h.onTeardown(() => client.terminate())
  t.match(await client.next(), { type: 'status', optimization_id: id }, 'the initial status')
  await client.next('completed')
  const iterations = client.all('optimization_iteration')
  t.same(
    iterations.map(({ iteration }) => iteration),
    [1, 2, 3, 4],
  )
  const { run_id: _run, ...fields } = example
  for (const iteration of iterations) {
    conforms(t, iteration, fields, id)
    t.equal(iteration.optimization_id, id)
    t.equal((await h.call('GET', `/api/v2/runs/${iteration.run_id}`)).body.result.type, 'completed', 'each is a run')
  }
})

t.test('Run Cancelled', async (t) => {
  const id = 'run-that-is-cancelled'
  scripted(id)
  await h.submit({ id })
  const client = await h.connect(id)
  t.equal((await h.call('POST', `/api/v2/runs/${id}/cancel`)).status, 202)
  conforms(t, await client.next('cancelled'), exampleOf('Run Cancelled'), id)
})

t.test('Heartbeat/Ping', async (t) => {
  const [ping, pong] = sectionOf('Heartbeat/Ping').examples
  const id = await h.submit()
  const client = await h.connect(id)
  client.send(ping)
  client.send(JSON.stringify(ping, null, 2))
  await client.next('pong')
  await client.next('pong')
  t.equal(JSON.stringify(pong), '{"type":"pong"}')
  t.equal(client.texts.filter((text) => text === '{"type":"pong"}').length, 2, 'to the byte')
})

/** A check for each item of a list of the document, in its order. */
function eachItem(heading: string, checks: Readonly<Record<string, (t: Test) => Promise<void>>>): void {
  t.test(`${heading}: each item has its check`, async (t) => t.same(Object.keys(checks), itemsOf(heading)))
  for (const [item, run] of Object.entries(checks)) t.test(`${heading}: ${item}`, run)
}

eachItem('Connection Lifecycle', {
  'Client connects to WebSocket endpoint': async (t) => {
    const [, endpoint = ''] = /^Run Progress: `WS (.+)`$/m.exec(SECTIONS.map((section) => section.heading).join('\n')) ?? []
    const id = await h.submit()
    for (const node of h.nodes) {
      const socket = new WebSocket(`${node.ws}${endpoint.replace('{run_id}', id)}?token=${h.token()}`)
      t.teardown(() => socket.terminate())
      const text = await new Promise((resolve, reject) => socket.once('message', resolve).once('close', reject))
      t.equal(JSON.parse(String(text)).run_id, id)
    }
  },
  'Server sends initial status message': async (t) => {
    const id = await h.submit()
    const first = await (await h.connect(id)).next()
    t.match(first, { type: 'status', run_id: id, status: /^(queued|running|completed)$/ })
  },
  'Server streams progress/metric updates': async (t) => {
    const id = 'run-that-streams'
    const run = scripted(id, solving(10), metric(1), solving(20))
    await h.submit({ id })
    const clients = [await h.connect(id), await h.connect(id, { node: 1 })]
    for (const expected of [{ percent: 10 }, { metric_name: 'natural_frequency_hz', value: 1 }, { percent: 20 }]) {
      run.next()
      for (const client of clients) t.match(await client.next('percent' in expected ? 'progress' : 'metric_update'), expected)
    }
    const { body } = await h.call('GET', `/api/v2/runs/${id}`)
    t.equal(body.status, 'running', 'all that while it ran')
    run.next()
    for (const client of clients) await client.next('completed')
  },
  'On completion/error, server sends final message': async (t) => {
    const id = 'run-that-fails-at-last'
    scripts.set(id, async () => {
      throw new JobFailure('solver_error', 'at last')
    })
    const types: string[] = []
    for (const run of [await h.submit(), await h.submit({ id })]) {
      const client = await h.connect(run)
      await eventually(() => client.messages.some(({ type }) => ['completed', 'error'].includes(type)))
      await client.silence(100)
      types.push(client.messages.at(-1).type)
    }
    t.same(types, ['completed', 'error'], 'the last thing said of a run')
  },
  'Connection remains open for subsequent runs (client can reconnect)': async (t) => {
    const client = await h.connect(await h.submit())
    await client.next('completed')
    const next = await h.connect(await h.submit())
    await next.next('completed')
    for (const open of [client, next]) {
      open.send({ type: 'ping' })
      await open.next('pong')
      t.equal(open.socket.readyState, WebSocket.OPEN)
    }
  },
})

eachItem('Reconnection', {
  'Client should implement exponential backoff reconnection': async (t) => {
    const opened: number[] = []
    class Refused {
      onclose: ((event: { code: number; reason: string }) => void) | null = null
      readonly [name: string]: unknown
      constructor() {
        opened.push(performance.now())
        queueMicrotask(() => this.onclose?.({ code: 1006, reason: '' }))
      }
    }
    const watch = watchJob({ url: 'ws://nowhere', token: () => '', WebSocket: Refused as never, backoffMs: { first: 20, longest: 160 } })
    await eventually(() => opened.length > 6)
    watch.close()
    const delays = opened.slice(1, 7).map((at, i) => at - (opened[i] ?? 0))
    for (const [i, longest] of [20, 40, 80, 160, 160, 160].entries()) {
      t.ok((delays[i] ?? 0) >= longest / 2 - 2, `delay ${i + 1}: ${delays[i]} ms of ${longest}`)
    }
  },
  'On reconnect, server sends current state (last known status)': async (t) => {
    const id = 'run-that-goes-on'
    const run = scripted(id, solving(10), solving(60))
    await h.submit({ id })
    const before = await h.connect(id)
    run.next()
    await before.next('progress')
    await before.close()
    run.next()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.percent === 60)
    for (const node of [0, 1])
      t.match(await (await h.connect(id, { node })).next(), { type: 'status', run_id: id, status: 'running', percent: 60 })
    run.next()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
    t.match(await (await h.connect(id)).next(), { type: 'status', run_id: id, status: 'completed' })
  },
  'Missed messages are not replayed (client should poll REST API for missed data)': async (t) => {
    const id = 'run-with-missed-messages'
    const run = scripted(id, metric(1), metric(2), metric(3))
    await h.submit({ id })
    const before = await h.connect(id)
    run.next()
    const { seq } = await before.next('metric_update')
    await before.close()
    run.next()
    run.next()
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.metrics.natural_frequency_hz?.value === 3)
    const after = await h.connect(id)
    const { body } = await h.call('GET', `/api/v2/runs/${id}/events?after=${seq}`)
    t.same(
      body.events.map(({ value }: Message) => value),
      [2, 3],
    )
    run.next()
    await after.next('completed')
    t.same(
      after.messages.filter(({ type }) => type === 'metric_update').map(({ value }) => value),
      [3],
      'the current state alone',
    )
  },
})

t.test('nothing went wrong on the way', async (t) => t.same(h.faults, []))
