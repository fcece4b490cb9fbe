import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Parts } from '../../src/app/parts.js'
import { buildWorkerNode, type WorkerNode } from '../../src/app/worker-node.js'
import { runEvents } from '../../src/core/run-events.js'
import { JobService } from '../../src/jobs/job-service.js'
import { FairQueue, type FairQueuePorts } from '../../src/queue/fair-queue.js'
import { DEFAULT_BROKER_LIMITS } from '../../src/storage/broker.js'
import { RedisJobStore } from '../../src/storage/redis/job-store.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { BUILT_IN, runsBy } from '../support/kinds.js'
import { overriding } from '../support/overriding.js'
import { Stage } from '../support/stage.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

/** Without the help of the sweeper. */
const UNSWEPT = { SWEEP_INTERVAL_MS: '600000' }
const ref = (id: string) => ({ queue: 'run', id, round: 1 }) as const

function partsOf(h: Harness, node = 0): Parts {
  const parts = h.nodes[node]?.hub.parts
  if (!parts) throw new RangeError(`there is no node ${node}`)
  return parts
}

/** Another worker of the same cluster. */
async function startWorker(t: Test, h: Harness, stage: Stage): Promise<WorkerNode> {
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => h.faults.push(fields) }
  const worker = await buildWorkerNode(h.config, [runsBy(stage.processor)], log)
  await worker.start()
  t.teardown(() => worker.close())
  return worker
}

/** Enqueues as many runs of a user over all nodes, in the order of their ids. */
async function submitMany(h: Harness, owner: string, count: number): Promise<void> {
  for (let i = 0; i < count; i += 50) {
    const batch = Array.from({ length: Math.min(50, count - i) }, (_, k) => i + k)
    await Promise.all(
      batch.map((n) => h.nodes[n % h.nodes.length]?.hub.jobs.submit({ id: `${owner}-${n}`, owner, kind: 'run', input: HORN })),
    )
  }
}

const ownerOf = (id: string) => id.replace(/-.*/, '')
const ownersOf = (stage: Stage) => stage.plays.map(({ job }) => ownerOf(job.id))

t.test('[FAIR-2] the first job of a user is among the next two that are taken, while another user has 1,000 waiting', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '1', ...UNSWEPT } })
  await submitMany(h, 'alice', 1001)
  await eventually(() => stage.plays.length === 1)
  await partsOf(h).queue.dispatch()
  await h.nodes[1]?.hub.jobs.submit({ id: 'bob-0', owner: 'bob', kind: 'run', input: HORN })
  for (let taken = 1; taken <= 6; taken += 1) {
    await eventually(() => stage.plays.length === taken)
    stage.plays.at(-1)?.complete()
  }
  t.same(ownersOf(stage).slice(0, 3).toSorted(), ['alice', 'alice', 'bob'], 'one of the next two')
  t.same(ownersOf(stage).slice(3, 6), ['alice', 'alice', 'alice'], 'and then the other one goes on')
  t.same(h.faults, [])
})

t.test('[FAIR-1] three users over two hubs and two workers: they take turns', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '1', ...UNSWEPT } })
  await startWorker(t, h, stage)
  for (const owner of ['alice', 'bob', 'carol']) await submitMany(h, owner, 12)
  await eventually(() => stage.plays.length === 2)
  for (let done = 0; done < 26; done += 1) {
    const play = await eventually(() => stage.plays[done])
    play.complete()
  }
  // What was handed out before the others came was the first one's: two that run, and one that waits for a worker.
  const owners = ownersOf(stage).slice(3, 26)
  const counts = { alice: 0, bob: 0, carol: 0 } as Record<string, number>
  for (const owner of owners) {
    counts[owner] = (counts[owner] ?? 0) + 1
    const [least = 0, , most = 0] = Object.values(counts).toSorted((a, b) => a - b)
    t.ok(most - least <= 2, owners.join(' '))
  }
  t.same(h.faults, [])
})

t.test('[FAIR-2] the queue of the workers never holds a second job of a kind that nobody has taken', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '2', ...UNSWEPT } })
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  const waiting = `${new RedisKeys(h.config.REDIS_PREFIX).queues()}:run:wait`
  await submitMany(h, 'alice', 30)
  await submitMany(h, 'bob', 10)
  for (let done = 0; done < 40; done += 1) {
    const play = await eventually(() => stage.plays[done])
    t.ok((await admin.llen(waiting)) <= 1)
    play.complete()
  }
  for (const owner of ['alice', 'bob']) {
    await eventually(async () => (await partsOf(h).feeds.read(owner)).active.length === 0)
  }
  t.equal(new Set(stage.plays.map(({ job }) => job.id)).size, 40, 'each was computed once')
  t.equal(stage.plays.length, 40)
  t.same(h.faults, [])
})

t.test('[FAIR-3] a submitter that dies between any two steps: what is written runs', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = partsOf(h)
  const { scheduler: gate, backlog, broker } = parts
  const died = new Error('died here')
  const dies = () => Promise.reject(died)
  /** Dies after the job's hash, before any index. */
  class HalfStore extends RedisJobStore {
    override reactivate = dies
  }
  const half = new HalfStore({ kinds: BUILT_IN, url: h.redis.url, prefix: h.config.REDIS_PREFIX, limits: DEFAULT_BROKER_LIMITS })
  t.teardown(() => half.close())
  const queueWith = (own: Partial<FairQueuePorts>) =>
    new FairQueue({ scheduler: gate, backlog, broker, store: parts.store, onFault: () => {}, ...own })
  /** Takes the next round, and dies with it. */
  const takes = overriding(gate, 'next', async () => {
    await gate.next()
    throw died
  })
  const deaths: [name: string, service: JobService, isWritten: boolean][] = [
    ['before anything', new JobService({ ...parts, scheduler: { reserve: dies } }), false],
    ['before the index', new JobService({ ...parts, store: overriding(parts.store, 'activate', dies) }), false],
    ['before the record', new JobService({ ...parts, store: overriding(parts.store, 'create', dies) }), false],
    ['after the record', new JobService({ ...parts, store: half }), true],
    ['before it is announced', new JobService({ ...parts, feeds: overriding(parts.feeds, 'add', dies) }), true],
    ['before it waits', new JobService({ ...parts, queue: queueWith({ scheduler: overriding(gate, 'enter', dies) }) }), true],
    ['before it is admitted', new JobService({ ...parts, queue: queueWith({ scheduler: overriding(gate, 'next', dies) }) }), true],
    ['with the admitted one', new JobService({ ...parts, queue: queueWith({ scheduler: takes }) }), true],
    ['before the workers have it', new JobService({ ...parts, queue: queueWith({ backlog: overriding(backlog, 'add', dies) }) }), true],
  ]
  for (const [i, [name, service, isWritten]] of deaths.entries()) {
    const submission = { id: `job-${i}`, owner: 'alice', kind: 'run', input: HORN } as const
    // Once it waits at the fair scheduler, who hands it out matters to nobody: then the submit has succeeded.
    await service.submit(submission).catch((error) => t.equal(error, died, name))
    if (!isWritten) {
      t.equal(await broker.read(submission.id), null, name)
      await eventually(async () => (await parts.store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
      await h.nodes[0]?.hub.jobs.submit(submission)
    }
    const play = await stage.play(submission.id)
    play.complete()
    await eventually(async () => (await broker.read(submission.id))?.state.status === 'completed')
    await eventually(async () => (await parts.store.active(Number.MAX_SAFE_INTEGER, 10)).length === 0)
    t.equal(stage.playsOf(submission.id).length, 1, name)
    t.same(await gate.state({ id: submission.id, round: 1 }), null, name)
  }
})

t.test('[TURN-1] a delayed job starts whatever process dies, also if the scheduler has lost it', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100' } })
  const parts = partsOf(h)
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  const queue = new FairQueue({ ...parts, backlog: overriding(parts.backlog, 'close', async () => {}), onFault: () => {} })
  await new JobService({ ...parts, queue }).submit({ id: 'later', owner: 'alice', kind: 'run', input: HORN, delayMs: 3600_000 })
  await queue.close()
  await parts.scheduler.leave(ref('later'))
  await eventually(async () => (await parts.queue.state(ref('later'))).at === 'held')
  t.same(stage.plays, [])
  // As if time had passed.
  await admin.zadd(new RedisKeys(h.config.REDIS_PREFIX).scheduler().delayed, 'XX', 1, 'later~1')
  const play = await stage.play('later')
  play.complete()
  t.same(h.faults, [])
})

t.test('[FAIR-3] a worker that dies before it has said that it has taken a job: the next one is handed out all the same', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100', WORKER_CONCURRENCY: '3' } })
  if (!h.worker) throw new Error('no worker')
  h.worker.parts.queue.started = () => Promise.reject(new Error('died here'))
  await submitMany(h, 'alice', 3)
  for (const id of ['alice-0', 'alice-1', 'alice-2']) await stage.play(id)
  t.equal(stage.plays.length, 3)
})

t.test('[FAIR-3] a job that cannot be handed out stands in no other’s way', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100', WORKER_CONCURRENCY: '1' } })
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  await submitMany(h, 'alice', 1)
  const first = await stage.play('alice-0')
  await submitMany(h, 'bob', 1) // for the window
  await submitMany(h, 'carol', 1)
  await submitMany(h, 'dave', 1)
  await admin.hset(new RedisKeys(h.config.REDIS_PREFIX).job('carol-0'), 'input', '{')
  first.complete()
  for (const id of ['bob-0', 'dave-0']) {
    const play = await stage.play(id)
    play.complete()
  }
  t.ok(h.faults.length > 0, 'and that is logged')
})

t.test('[FENCE-1] a job that was handed back, lost by the queue and added again runs, and its old writer is refused', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor, env: { SWEEP_INTERVAL_MS: '100' } })
  const { broker, backlog } = partsOf(h)
  const id = await h.submit()
  const client = await h.connect(id)
  const before = await stage.play(id)
  before.job.metric('m', 1, 'Hz')
  await client.next('metric_update')
  await h.worker?.close()
  t.match((await broker.read(id))?.state, { status: 'queued', token: 1 })
  t.equal(await backlog.remove(ref(id)), true)
  await eventually(async () => (await backlog.state(ref(id))).at === 'waiting')
  await startWorker(t, h, stage)
  const play = await eventually(() => stage.playsOf(id)[1])
  t.match((await broker.read(id))?.state, { status: 'running', token: 2 })
  t.match(await broker.publish(id, [runEvents.metric(id, 'm', 99, 'Hz')], { round: 1, token: 1, n: 99 }), {
    ok: false,
    reason: 'stale_writer',
  })
  play.job.metric('m', 2, 'Hz')
  t.match(await client.next('metric_update'), { value: 2 })
  play.complete()
  t.match(await client.next('completed'), { run_id: id })
  t.same(h.faults, [])
})
