import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { statsOf } from '../../src/core/lifecycle.js'
import { runEvents } from '../../src/core/run-events.js'
import { StoreClock, storeClock } from '../../src/core/store-clock.js'
import { attemptAtStart, overBeforeStart } from '../../src/jobs/attempt.js'
import { conclusionOf } from '../../src/jobs/claims/claim-end.js'
import type { Final } from '../../src/jobs/job-tally.js'
import { JobCounts } from '../../src/jobs/sweeper/job-counts.js'
import { LostLockTracker } from '../../src/jobs/sweeper/lost-lock-tracker.js'
import { reconcile } from '../../src/jobs/sweeper/reconcile.js'
import { runKind } from '../../src/kinds/run/kind.js'
import type { Queue } from '../../src/queue/queue.js'
import { runJob } from '../../src/worker/run-job.js'
import type { RunProcessor } from '../support/kinds.js'
import { MemoryBroker } from '../support/memory-broker.js'
import { MemoryFeeds } from '../support/memory-feeds.js'
import { setClock } from '../support/set-clock.js'

const HOUR_MS = 3600_000
const NOON = Date.parse('2026-01-01T12:00:00Z')

/** A store clock on clocks that are turned by hand: that of the machine, that of Redis, and one that is never set. */
function setUp() {
  const world = { elapsed: 5000, machine: NOON, redis: NOON }
  const clock = new StoreClock({ elapsed: () => world.elapsed, wallClock: () => world.machine })
  const pass = (ms: number) => {
    world.elapsed += ms
    world.machine += ms
    world.redis += ms
  }
  /** Redis is asked, and looks at its clock when part of the way is done. */
  const ask = (tookMs = 0, part = 0.5) => {
    const begun = world.elapsed
    pass(tookMs * part)
    const time = Math.floor(world.redis)
    pass(tookMs * (1 - part))
    clock.learn(time, begun)
  }
  return { world, clock, pass, ask }
}

t.test('before Redis has told its time it is that of the machine', async (t) => {
  const { clock, pass } = setUp()
  pass(1000)
  t.match(clock, { aheadMs: 0 })
  t.equal(clock.stamp(), '2026-01-01T12:00:01.000Z')
})

t.test('time is that of Redis, wherever the clock of the machine is and however it is set', async (t) => {
  for (const aheadMs of [2 * HOUR_MS, -HOUR_MS, 12_000]) {
    const { world, clock, pass, ask } = setUp()
    world.machine += aheadMs
    ask()
    t.ok(Math.abs(clock.now() - world.redis) <= 1, `${clock.now() - world.redis} ms`)
    t.ok(Math.abs(clock.aheadMs - aheadMs) <= 1)
    pass(60_000)
    t.ok(Math.abs(clock.now() - world.redis) <= 1, 'a minute later, without word from Redis')
    world.machine -= 2 * aheadMs
    t.ok(Math.abs(clock.now() - world.redis) <= 1, 'set meanwhile')
    world.redis += HOUR_MS
    ask()
    t.ok(Math.abs(clock.now() - world.redis) <= 1, 'another Redis, with another clock')
  }
})

t.test('slow answers do not make it worse, and processes of one machine agree', async (t) => {
  const { world, clock, pass, ask } = setUp()
  ask(1500, 0.9)
  t.equal(clock.now(), world.machine, 'that of the machine is as right as any')
  world.machine += 60_000
  ask()
  for (const part of [0, 1, 0.5]) {
    pass(1000)
    ask(1500, part)
    t.ok(Math.abs(clock.now() - world.redis) <= 1, `${part}: ${clock.now() - world.redis} ms`)
  }
})

/** The time of Redis is known, then the clock of this machine is set. */
function setMachine(t: Test, aheadMs: number): void {
  storeClock.learn(Date.now(), storeClock.elapsed())
  t.teardown(setClock(aheadMs))
}

/** A run that has begun now, by a machine whose clock is right. */
async function running() {
  const broker = new MemoryBroker()
  const record = { id: 'r', kind: 'run', owner: 'alice', input: '{}', digest: '', generation: 'g', solver: null, parent: null } as const
  const created_at = new Date().toISOString()
  await broker.create({ ...record, created_at, timeoutMs: 600_000 }, runEvents.status('r', 'queued'))
  await broker.publish('r', [runEvents.status('r', 'running')], controlWriter(1))
  const read = async () => {
    const state = (await broker.read('r'))?.state
    if (!state) throw new Error('it is gone')
    return state
  }
  return { broker, read }
}

for (const aheadMs of [2 * HOUR_MS, -2 * HOUR_MS])
  t.test(`by a clock ${aheadMs / HOUR_MS} hours ahead nothing is over before its time, and no span is wrong`, async (t) => {
    const { read } = await running()
    setMachine(t, aheadMs)
    const state = await read()
    t.equal(overBeforeStart(attemptAtStart(state), state), null)
    const { settled } = conclusionOf(
      { type: 'failed', error: 'e', code: 'solver_error', retry: false },
      { state, logTail: '', elapsedSeconds: 1 },
    )
    t.match(settled, { how: 'ended', outcome: { code: 'solver_error' } })
    t.ok(statsOf(state).duration_s < 10, `${statsOf(state).duration_s} s`)
    const { timestamp } = runEvents.status('r', 'running').message
    t.ok(Math.abs(Date.parse(String(timestamp)) - (Date.now() - aheadMs)) < 10_000, `${timestamp}`)
  })

t.test('what is over by the clock of Redis is over, by a clock that is behind too', async (t) => {
  const { read } = await running()
  setMachine(t, -2 * HOUR_MS)
  const state = { ...(await read()), started_at: new Date(Date.now() + 2 * HOUR_MS - 601_000).toISOString() }
  t.match(overBeforeStart(attemptAtStart(state), state), { outcome: { code: 'timeout' } })
  t.ok(Math.abs(statsOf(state).duration_s - 601) < 10)
})

t.test('a worker two hours ahead stops a job at its deadline and no sooner', async (t) => {
  const { broker } = await running()
  setMachine(t, 2 * HOUR_MS)
  const stops: unknown[] = []
  const processor: RunProcessor = async (_input, job) => {
    await sleep(30)
    stops.push(job.signal.reason)
    return { metrics_summary: {} }
  }
  const task = { kind: runKind, id: 'r', round: 1, token: 1, input: {} as never } as const
  t.match(await runJob(task, processor, { broker, cancelGraceMs: 100, onStart: () => {} }), { how: 'done' })
  t.same(stops, [undefined])
})

t.test('a sweeper two hours ahead ends neither what runs nor what is told to end, and puts nothing off', async (t) => {
  const { broker, read } = await running()
  setMachine(t, 2 * HOUR_MS)
  const queue: Queue = {
    add: async () => {},
    started: async () => {},
    dispatch: async () => {},
    remove: async () => false,
    cancelOnOwner: async () => {},
    state: async () => ({ at: 'active', isLocked: true }),
    close: async () => {},
  }
  const finals: Final[] = []
  const { telemetry } = broker
  const parts = { broker, store: broker, telemetry, feeds: new MemoryFeeds(), queue, backlog: { step: async () => {} } }
  const round = { id: 'r', round: 1 }
  const limits = { cancelGraceMs: 10_000, lockMs: 10_000, heldMs: 60_000, source: 'sweeper' } as const
  const look = () =>
    reconcile({ ...parts, onFinal: (final) => finals.push(final) }, round, {
      ...limits,
      lostLocks: new LostLockTracker(),
      counts: new JobCounts(),
    })
  const right = Date.now() - 2 * HOUR_MS
  await broker.activate(round, right)
  await look()
  await broker.publish('r', [runEvents.status('r', 'cancelling')], controlWriter(1))
  await look()
  t.equal((await read()).status, 'cancelling')
  t.same(finals, [])
  t.same(await broker.active(right + 60_000, 10), [round], 'it is due again for every other sweeper')
})
