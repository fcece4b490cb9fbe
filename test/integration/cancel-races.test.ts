import { Job } from 'bullmq'
import t from 'tap'
import type { JobEvent } from '../../src/core/entry.js'
import { JobService } from '../../src/jobs/job-service.js'
import type { Publisher } from '../../src/storage/broker.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { overriding } from '../support/overriding.js'
import { Stage } from '../support/stage.js'
import type { Message } from '../support/test-client.js'
import { tokenOf } from '../support/tokens.js'

/** Something that waits until the test lets it go on, and says that it waits. */
function gate() {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { isReached: false, opened, open }
}

/** Holds those writes of a broker that the test picks. */
function hold(broker: Publisher, picks: (events: readonly JobEvent[]) => boolean) {
  const held = gate()
  const publish = broker.publish.bind(broker)
  broker.publish = async (...write) => {
    if (picks(write[1])) {
      held.isReached = true
      await held.opened
    }
    return publish(...write)
  }
  return held
}

/** Everything that was logged of a job, in order. */
async function loggedOf(h: Harness, id: string): Promise<Message[]> {
  return (await h.call('GET', `/api/v2/runs/${id}/events`)).body.events
}

const typesOf = (messages: readonly Message[]) => messages.map(({ type, status }) => (type === 'status' ? status : type))
const cancel = (h: Harness, id: string, options = {}) => h.call('POST', `/api/v2/runs/${id}/cancel`, options)

t.test('[CANCEL-3] a cancel of a job cancels its children of every kind, also if its process dies', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100', WORKER_CONCURRENCY: '4' } })
  const { parts, jobs } = h.nodes[0]?.hub ?? {}
  if (!parts || !jobs) throw new Error('no hub')
  const died = new Error('died here')
  const dying = new JobService({ ...parts, store: overriding(parts.store, 'list', () => Promise.reject(died)) })
  const statusOf = async (id: string) => (await parts.broker.read(id))?.state.status
  for (const [name, service] of [
    ['whole', jobs],
    ['dying', dying],
  ] as const) {
    const child = { owner: 'alice', parent: `${name}-parent` }
    await jobs.submit({ id: `${name}-parent`, owner: 'alice', kind: 'run', input: HORN })
    await jobs.submit({ ...child, id: `${name}-ended`, kind: 'run', input: HORN })
    ;(await stage.play(`${name}-ended`)).complete()
    await eventually(async () => (await statusOf(`${name}-ended`)) === 'completed')
    await jobs.submit({ ...child, id: `${name}-running`, kind: 'run', input: HORN })
    await jobs.submit({ ...child, id: `${name}-later`, kind: 'run', input: HORN, delayMs: 3600_000 })
    await jobs.submit({ ...child, id: `${name}-benchmark`, kind: 'benchmark', input: { models: ['local/ngram'] }, delayMs: 3600_000 })
    await Promise.all([stage.play(`${name}-parent`), stage.play(`${name}-running`)])
    await service.cancel(`${name}-parent`, () => true).catch((error) => t.equal(error, died))
    for (const id of ['parent', 'running']) await eventually(async () => (await statusOf(`${name}-${id}`)) === 'cancelled')
    if (service === jobs) for (const id of ['later', 'benchmark']) t.equal(await statusOf(`${name}-${id}`), 'cancelled', id)
    t.equal(await statusOf(`${name}-ended`), 'completed')
  }
  t.same(h.faults, [])
})

t.test(
  '[CANCEL-2] against the pick-up, cancel first: the worker that has taken the job finds it ended, and never calls the processor',
  async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const broker = h.worker?.parts.broker
    if (!broker) throw new Error('no worker')
    const start = hold(broker, () => true)
    const id = await h.submit()
    await eventually(() => start.isReached)
    t.match(await cancel(h, id), { status: 202, body: { status: 'cancelled' } })
    start.open()
    const { queue } = h.worker?.parts ?? {}
    await eventually(async () => (await queue?.state({ queue: 'run', id, round: 1 }))?.at === 'missing')
    t.same(stage.plays, [])
    t.same(typesOf(await loggedOf(h, id)), ['queued', 'cancelled'])
  },
)

t.test(
  '[CANCEL-2] against the pick-up, cancel first, and the worker lets go of it while the cancel looks why it could not be removed',
  async (t) => {
    const h = await startHarness(t, { processor: new Stage().processor })
    const { broker, queue } = h.worker?.parts ?? {}
    if (!broker || !queue) throw new Error('no worker')
    const start = hold(broker, () => true)
    const id = await h.submit()
    await eventually(() => start.isReached)
    const answered = gate()
    const remove = Job.prototype.remove
    let first: Job | undefined
    let wasLocked = false
    t.intercept(Job.prototype, 'remove', {
      async value(this: Job, ...args: Parameters<typeof remove>) {
        first ??= this
        // What others notice of its end comes later.
        if (this !== first) await answered.opened
        if (this !== first || wasLocked) return remove.apply(this, args)
        await t.rejects(remove.apply(this, args), /locked by another worker/)
        wasLocked = true
        start.open()
        await eventually(async () => (await queue.state({ queue: 'run', id, round: 1 })).at === 'ended')
        throw new Error('locked by another worker')
      },
    })
    t.match(await cancel(h, id), { status: 202, body: { status: 'cancelled' } })
    answered.open()
    await eventually(async () => (await queue.state({ queue: 'run', id, round: 1 })).at === 'missing')
    t.same(typesOf(await loggedOf(h, id)), ['queued', 'cancelled'])
  },
)

t.test('[CANCEL-2] against the pick-up, start first: the job is told to stop and ends cancelled', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const [ofHub, ofWorker] = [h.nodes[0]?.hub.parts.broker, h.worker?.parts.broker]
  if (!ofHub || !ofWorker) throw new Error('no node or no worker')
  const cancelling = hold(ofHub, (events) => events[0]?.to === 'cancelled')
  const start = hold(ofWorker, () => true)
  const id = await h.submit()
  await eventually(() => start.isReached)
  // The cancel has looked at a job that waits; its write comes to one that runs.
  const answer = cancel(h, id)
  await eventually(() => cancelling.isReached)
  start.open()
  await stage.play(id)
  cancelling.open()
  t.match(await answer, { status: 202, body: { status: 'cancelling' } })
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'cancelled')
  t.same(typesOf(await loggedOf(h, id)), ['queued', 'running', 'cancelling', 'cancelled'])
})

t.test('[CANCEL-2] against the completion: what the queue has committed stands', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100000' } })
  const queue = h.worker?.parts.queue
  if (!queue) throw new Error('no worker')
  const told = gate()
  const state = queue.state.bind(queue)
  queue.state = async (ref) => {
    told.isReached = true
    await told.opened
    return state(ref)
  }
  const id = await h.submit()
  const { complete } = await stage.play(id)
  complete({ answer: 42 })
  await eventually(() => told.isReached)
  t.match(await cancel(h, id), { status: 202, body: { status: 'cancelling' } })
  told.open()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  t.same(typesOf(await loggedOf(h, id)), ['queued', 'running', 'cancelling', 'completed'])
  t.match(await cancel(h, id), { status: 409, body: { error: 'already_final' } })
})

t.test('[CANCEL-2] a result that comes although a cancel was asked for stands too', async (t) => {
  const h = await startHarness(t, {
    processor: async (_input, job) => {
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve))
      return { metrics_summary: { answer: 42 } }
    },
  })
  const id = await h.submit()
  const client = await h.connect(id)
  while ((await client.next('status')).status !== 'running');
  t.match(await cancel(h, id), { status: 202 })
  t.match(await client.next('completed'), { metrics_summary: { answer: 42 } })
})

t.test('[CANCEL-2] twice, and by two users over two hubs: all are answered alike, and the job ends once', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '1' } })
  const token = tokenOf({ sub: 'root', role: 'admin', exp: Math.floor(Date.now() / 1000) + 600 })
  const running = await h.submit()
  await stage.play(running)
  const waiting = await h.submit()
  for (const [id, status] of Object.entries({ [waiting]: 'cancelled', [running]: 'cancelling' })) {
    const stranger = await cancel(h, id, { sub: 'mallory' })
    t.match(stranger, { status: 404, body: { error: 'not_found' } }, 'to others it does not exist')
    const client = await h.connect(id)
    const answers = await Promise.all([
      cancel(h, id),
      cancel(h, id, { node: 1 }),
      cancel(h, id, { token }),
      cancel(h, id, { node: 1, token }),
    ])
    // A job that runs may have ended before the last of them came.
    for (const answer of answers) {
      const isLate = answer.status === 409 && answer.body.error === 'already_final'
      t.ok(isLate || answer.status === 202, JSON.stringify(answer.body))
      if (!isLate) t.match(answer.body.status, /^cancell/)
    }
    t.ok(answers.some(({ body }) => body.status === status))
    await client.next('cancelled')
    const told = typesOf(await loggedOf(h, id))
    t.equal(told.filter((type) => type === 'cancelled').length, 1)
    t.ok(told.filter((type) => type === 'cancelling').length <= 1)
  }
})
