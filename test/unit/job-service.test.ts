import t from 'tap'
import { messageOf } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { JobService } from '../../src/jobs/job-service.js'
import type { Queue } from '../../src/queue/queue.js'
import type { FairScheduler } from '../../src/storage/fair-scheduler.js'
import { HORN } from '../support/harness.js'
import { BUILT_IN } from '../support/kinds.js'
import { MemoryBroker } from '../support/memory-broker.js'
import { MemoryFeeds } from '../support/memory-feeds.js'

/** A queue without workers. */
const QUEUE: Queue = {
  add: async () => {},
  started: async () => {},
  dispatch: async () => {},
  remove: async () => true,
  cancelOnOwner: async () => {},
  state: async () => ({ at: 'waiting' }),
  close: async () => {},
}

const QUEUE_OF_STEPS = { step: async () => {} }
const OPEN = { reserve: async () => ({ ok: true }) as const }

function refusalOf(submit: Promise<unknown>): Promise<unknown> {
  return submit.then(
    () => null,
    (refusal: unknown) => refusal,
  )
}

function open(queue: Queue = QUEUE, solvers: readonly string[] = []): { store: MemoryBroker; jobs: JobService } {
  const store = new MemoryBroker()
  const timeoutsMs = { run: 1000, optimization: 1000, benchmark: 1000 }
  return {
    store,
    jobs: new JobService({
      kinds: BUILT_IN,
      broker: store,
      store,
      feeds: new MemoryFeeds(),
      queue,
      backlog: QUEUE_OF_STEPS,
      scheduler: OPEN,
      telemetry: store.telemetry,
      timeoutsMs,
      solvers,
    }),
  }
}

t.test('[JOB-2] [JOB-4] a configured solver has a queue of its own, takes any object, and is a part of what was submitted', async (t) => {
  const added: string[] = []
  const { jobs } = open({ ...QUEUE, add: async ({ queue }) => void added.push(queue) }, ['mine'])
  const job = { id: 'x', owner: 'alice', kind: 'run', input: { anything: 1 } } as const
  t.match(await jobs.submit({ ...job, solver: 'mine' }), { solver: 'mine', input: '{"anything":1}' })
  t.match(await jobs.submit({ ...job, id: 'y', solver: 'horn-2d', input: HORN }), { solver: null }, 'the own one is not named')
  t.same(added, ['run.mine', 'run'])
  await t.rejects(jobs.submit({ ...job, input: HORN }), { code: 'other_input' }, 'the same id for another solver')
  t.match(await refusalOf(jobs.submit({ ...job, solver: 'mine', input: [] })), { code: 'invalid', detail: [{ path: '/input' }] })
  t.match(await refusalOf(jobs.submit({ ...job, solver: 'hers' })), { detail: [{ path: '/solver', expected: 'one of horn-2d, mine' }] })
  const given = { owner: 'a', kind: 'benchmark', solver: 'mine', input: {} } as const
  t.match(await refusalOf(jobs.submit(given)), { detail: [{ path: '/solver', expected: 'to be absent: the kind has no solvers' }] })
})

t.test('[QUOTA-1] a part of a job is added as one that takes no place, and its submit is not counted', async (t) => {
  const free: boolean[] = []
  const store = new MemoryBroker()
  const refuses: Pick<FairScheduler, 'reserve'> = {
    reserve: async (_owner, _round, isFree) => (isFree ? { ok: true } : { ok: false, reason: 'hour', retryAfterMs: 1 }),
  }
  const queue: Queue = { ...QUEUE, add: async ({ isFree }) => void free.push(isFree) }
  const timeoutsMs = { run: 1000, optimization: 1000, benchmark: 1000 }
  const jobs = new JobService({
    kinds: BUILT_IN,
    broker: store,
    store,
    feeds: new MemoryFeeds(),
    queue,
    backlog: QUEUE_OF_STEPS,
    scheduler: refuses,
    telemetry: store.telemetry,
    timeoutsMs,
    solvers: [],
  })
  const job = { owner: 'alice', kind: 'run', input: HORN } as const
  t.match(await jobs.submit({ ...job, parent: 'p' }), { parent: 'p' })
  t.same(free, [true])
  await t.rejects(jobs.submit(job), { code: 'quota' })
})

t.test('[PROC-2] a job was created when its first message says so, however slow the machine is', async (t) => {
  const { store, jobs } = open()
  let now = Date.now()
  class SlowDate extends Date {
    constructor(value: number | string | Date = now) {
      super(value)
      now += 5
    }
  }
  t.intercept(globalThis, 'Date', { value: SlowDate })
  const { id, created_at } = await jobs.submit({ owner: 'alice', kind: 'run', input: HORN })
  const [first] = (await store.history(id, 0, 1))?.entries ?? []
  t.equal(first && messageOf(first).timestamp, created_at)
})

t.test('[CANCEL-2] a cancel is one write, and a second one where the job has moved on since it was read', async (t) => {
  const told: string[] = []
  const { store, jobs } = open({ ...QUEUE, cancelOnOwner: async ({ id }) => void told.push(id) })
  const answers: boolean[] = []
  const publish = store.publish.bind(store)
  let before = async () => {}
  store.publish = async (...write) => {
    const act = before
    before = async () => {}
    await act()
    const answer = await publish(...write)
    answers.push(answer.ok)
    return answer
  }
  const due: string[] = []
  const touch = store.touch.bind(store)
  store.touch = async (round, at) => {
    due.push(`${round.id} ${(await store.read(round.id))?.state.status}`)
    return touch(round, at)
  }
  const submit = async (id: string) => jobs.submit({ id, owner: 'alice', kind: 'run', input: HORN })
  const start = (id: string) => publish(id, [runEvents.status(id, 'running')], { round: 1, token: 1, n: 1 })
  const cancel = async (id: string) => [await jobs.cancel(id, () => true), ...answers.splice(0)]

  await submit('waits')
  t.same(await cancel('waits'), ['cancelled', true])
  t.same(due, ['waits queued'], 'the next sweep checks it, should this process die before the end')
  await submit('runs')
  await start('runs')
  t.same(await cancel('runs'), ['cancelling', true])
  t.same(await cancel('runs'), ['cancelling', false], 'again')
  await submit('starts')
  before = async () => void (await start('starts'))
  t.same(await cancel('starts'), ['cancelling', false, true])
  await submit('goes-back')
  await start('goes-back')
  before = async () => void (await publish('goes-back', [runEvents.status('goes-back', 'queued')], { round: 1, token: 1, n: 2 }))
  t.same(await cancel('goes-back'), ['cancelled', false, true])
  t.same(told, ['runs', 'runs', 'starts'], 'only a job that runs is told')
  await t.rejects(cancel('waits'), { code: 'already_final' })
})
