import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { QueueRef, SchedulerLimits } from '../../src/storage/fair-scheduler.js'
import { connectCommands } from '../../src/storage/redis/connection.js'
import { type DepthLimits, RedisDepths } from '../../src/storage/redis/depths.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { sharedTestRedis, startTestRedis } from '../support/redis.js'
import { openRedis } from './backend.js'
import { inClusterMode } from './cluster.js'
import { enterAll, openGate, roundOf, takeAll } from './open-scheduler.js'
import { TestJob } from './test-job.js'

const redis = await sharedTestRedis()
const admin = new Redis(redis.url)
t.teardown(() => admin.disconnect())

const open = (t: Test, limits?: Partial<SchedulerLimits>, prefix?: string) => openGate(t, redis.url, limits, prefix)

t.test('[FAIR-1] users take turns, whoever came first; who was never served comes first', async (t) => {
  const gate = open(t, { maxActivePerUser: 100 })
  await enterAll(gate, ['a-1', 'a-2', 'a-3', 'a-4', 'b-1', 'b-2', 'c-1'])
  t.same(await takeAll(gate, 4), ['a-1', 'b-1', 'c-1', 'a-2'])
  await enterAll(gate, ['d-1', 'c-2'])
  t.same(await takeAll(gate), ['d-1', 'b-2', 'c-2', 'a-3', 'a-4'])
})

t.test('[FAIR-1] who has nothing waiting between two jobs keeps their turn: one job after the other is no way ahead', async (t) => {
  const gate = open(t, { maxActivePerUser: 100 })
  await enterAll(gate, ['a-1', 'a-2', 'a-3', 'b-1'])
  t.same(await takeAll(gate, 2), ['a-1', 'b-1'])
  await enterAll(gate, ['b-2'])
  t.same(await takeAll(gate, 2), ['a-2', 'b-2'])
  await enterAll(gate, ['b-3'])
  t.same(await takeAll(gate), ['a-3', 'b-3'])
})

t.test('[FAIR-2] of a queue one round at a time is admitted and not started, however many nodes ask', async (t) => {
  const prefix = `test-${randomUUID()}`
  const nodes = [1, 2, 3].map(() => open(t, {}, prefix))
  const [gate = open(t)] = nodes
  await enterAll(gate, ['a-1', 'b-1'])
  await enterAll(gate, ['a-b1'], 'benchmark')
  const taken = await Promise.all(nodes.flatMap((node) => [node.next(), node.next()]))
  const admitted = [
    { queue: 'benchmark', id: 'a-b1', round: 1 },
    { queue: 'run', id: 'a-1', round: 1 },
  ]
  const byQueue = (refs: readonly (QueueRef | null)[]) =>
    refs.filter((ref) => ref !== null).toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
  t.same(byQueue(taken), admitted, 'another queue has a window of its own')
  t.same(byQueue(await gate.prefetched()), admitted)
  t.equal(await gate.started(roundOf('a-1')), true)
  t.equal(await gate.started(roundOf('a-1')), false)
  t.same(await gate.next(), { queue: 'run', id: 'b-1', round: 1 })
})

t.test('[QUOTA-1] a user has so many places over all queues; the others wait, and another user goes on', async (t) => {
  const gate = open(t)
  await enterAll(gate, ['a-1', 'a-2', 'a-3'])
  t.same(await takeAll(gate), ['a-1', 'a-2'])
  await enterAll(gate, ['a-b1'], 'benchmark')
  t.same(await takeAll(gate), [])
  await enterAll(gate, ['b-1'])
  t.same(await takeAll(gate), ['b-1'])
  t.equal(await gate.leave(roundOf('a-1')), 'run')
  t.equal(await gate.leave(roundOf('a-1')), null, 'a place is given back once')
  const taken = await takeAll(gate)
  t.equal(taken.length, 1)
  await gate.leave(roundOf('a-2'))
  t.same([...taken, ...(await takeAll(gate))].toSorted(), ['a-3', 'a-b1'], 'a place that becomes free serves any queue')
})

t.test('[QUOTA-1] a quota that was changed holds for who waits already', async (t) => {
  const prefix = `test-${randomUUID()}`
  const before = open(t, { maxActivePerUser: 3 }, prefix)
  await enterAll(before, ['a-1', 'a-2', 'a-3'])
  t.same(await takeAll(before, 1), ['a-1'])
  const lowered = open(t, { maxActivePerUser: 1 }, prefix)
  t.same(await takeAll(lowered), [])
  await lowered.leave(roundOf('a-1'))
  t.same(await takeAll(lowered), ['a-2'])
})

t.test('[QUOTA-1] a part of a job takes no place: it is let in beside a full quota, in the turn of its owner', async (t) => {
  const gate = open(t, { maxActivePerUser: 1 })
  await enterAll(gate, ['a-1', 'a-2'])
  for (const id of ['a-p1', 'a-p2', 'a-p3']) await gate.enter({ ...roundOf(id), isFree: true })
  await enterAll(gate, ['b-1', 'b-2'])
  t.same(await takeAll(gate), ['a-1', 'b-1', 'a-p1', 'a-p2', 'a-p3'], 'a second round of either would need a place')
  await gate.leave(roundOf('a-p1'))
  t.same(await takeAll(gate), [], 'and gives none back')
  await gate.leave(roundOf('a-1'))
  t.same(await takeAll(gate), ['a-2'])
})

t.test('[QUOTA-3] parts of a job are not among the waiting of their owner', async (t) => {
  const gate = open(t, { maxWaitingPerUser: 1 })
  await gate.enter({ ...roundOf('a-p1'), isFree: true })
  t.match(await gate.reserve('a', roundOf('a-1')), { ok: true })
})

t.test('[QUOTA-4] the memory that jobs take counts until they expire, also that of parts', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxBytesPerUser: 50_000 }, prefix)
  const backend = openRedis(t, redis.url, { finalTtlMs: 60_000, childTtlMs: 1500 }, prefix)
  const create = (id: string, owner = 'a') =>
    TestJob.create(backend, { id, owner, input: JSON.stringify({ id, text: 'x'.repeat(20_000) }) })
  await create('a-1')
  t.match(await gate.reserve('a', roundOf('a-2')), { ok: true })
  const parts = [await create('a-2'), await create('a-3')]
  for (const isFree of [false, true]) {
    const refused = await gate.reserve('a', roundOf('a-4'), isFree)
    t.match(refused, { ok: false, reason: 'bytes', limit: 50_000 })
    t.ok(
      !refused.ok && refused.reason === 'bytes' && refused.bytes > 60_000 && refused.bytes < 90_000,
      `as much as they take: ${JSON.stringify(refused)}`,
    )
    t.ok(!refused.ok && refused.retryAfterMs > 3_500_000, 'those that run are looked at again, until they are gone')
  }
  t.match(await gate.reserve('b', roundOf('b-1')), { ok: true }, 'nobody else is concerned')
  for (const part of parts) {
    await part.enter('running')
    await part.enter('completed')
    await backend.store.deactivate({ id: part.id, round: 1 })
  }
  const kept = await gate.reserve('a', roundOf('a-4'))
  t.ok(!kept.ok && kept.retryAfterMs > 50_000 && kept.retryAfterMs <= 60_000, 'until the first of them expires')
  for (const id of ['a-1', 'a-2', 'a-3']) await backend.store.expireSoon(id)
  const soon = await gate.reserve('a', roundOf('a-4'))
  t.ok(!soon.ok && soon.retryAfterMs <= 1500, 'which is sooner for one that the whole has taken in')
  await eventually(async () => (await gate.reserve('a', roundOf('a-4'))).ok)
  t.ok(await backend.broker.read('a-1'), 'one that has not ended stays')
  t.equal(await backend.broker.read('a-2'), null)
})

t.test('[TURN-1] [QUOTA-3] a delayed round waits and counts, and enters when its time has come', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxWaitingPerUser: 2, maxActivePerUser: 9 }, prefix)
  const { base, delayed } = new RedisKeys(prefix).scheduler()
  const due = Date.now() + 3600_000
  t.equal(await gate.nextDue(), null)
  for (const _ of [1, 2]) t.equal(await gate.enter({ ...roundOf('a-1'), notBefore: due }), 'waiting')
  await gate.enter({ ...roundOf('a-2'), notBefore: due + 1 })
  t.equal(await gate.state(roundOf('a-1')), 'waiting')
  t.equal(await gate.nextDue(), due)
  t.same(await takeAll(gate), [])
  t.match(await gate.reserve('a', roundOf('a-3')), { ok: false, reason: 'waiting' })
  t.equal(await gate.leave(roundOf('a-2')), 'run', 'one that is cancelled')
  t.match(await gate.reserve('a', roundOf('a-3')), { ok: true })
  await enterAll(gate, ['a-3'])
  // As if time had passed.
  await admin.zadd(delayed, 'XX', 1, 'a-1~1')
  t.same(await takeAll(gate), ['a-3', 'a-1'], 'in the order of their times')
  t.equal(await gate.enter({ ...roundOf('a-1'), notBefore: due }), 'admitted')
  // As a process of an earlier version removes one.
  await gate.enter({ ...roundOf('b-1'), notBefore: due })
  await admin.hdel(`${base}waiting`, 'b-1~1')
  await admin.zadd(delayed, 'XX', 1, 'b-1~1')
  t.same(await takeAll(gate), [])
  t.same(await admin.keys(`${base}delay*`), [], 'and nothing is left')
  t.equal(await gate.enter({ ...roundOf('c-1'), notBefore: 1 }), 'waiting')
  t.same(await takeAll(gate), ['c-1'], 'one whose time has passed does not wait')
})

t.test('[TURN-3] of one user the higher priority comes first; no user gets ahead of another', async (t) => {
  const gate = open(t, { maxActivePerUser: 100 })
  await enterAll(gate, ['a-1', 'b-1', 'a-2'])
  for (const [id, priority] of [
    ['a-3', 9],
    ['a-4', 1],
    ['a-5', 9],
  ] as const)
    await gate.enter({ ...roundOf(id), priority })
  await gate.enter({ ...roundOf('a-part'), isFree: true, priority: 2 })
  await enterAll(gate, ['b-2'])
  t.same(await takeAll(gate), ['a-3', 'b-1', 'a-5', 'b-2', 'a-part', 'a-4', 'a-1', 'a-2'])
})

t.test('a round enters once, and is what it is', async (t) => {
  const gate = open(t)
  t.equal(await gate.state(roundOf('a-1')), null)
  for (const _ of [1, 2]) t.equal(await gate.enter(roundOf('a-1')), 'waiting')
  t.equal(await gate.state(roundOf('a-1')), 'waiting')
  t.same(await takeAll(gate), ['a-1'])
  t.equal(await gate.enter(roundOf('a-1')), 'admitted')
  t.equal(await gate.state(roundOf('a-1')), 'admitted')
  t.same(await takeAll(gate), [])
  await gate.enter({ ...roundOf('a-1'), round: 2 })
  t.same(await gate.next(), { queue: 'run', id: 'a-1', round: 2 }, 'another round is another one')
  await gate.leave(roundOf('a-1'))
  t.equal(await gate.state({ id: 'a-1', round: 2 }), 'admitted')
})

t.test('a round that leaves is gone wherever it was: waiting, in the window, started', async (t) => {
  const gate = open(t)
  await enterAll(gate, ['a-1', 'a-2', 'b-1'])
  await gate.leave(roundOf('a-1'))
  t.same(await gate.next(), { queue: 'run', id: 'a-2', round: 1 })
  await gate.leave(roundOf('a-2'))
  t.same(await takeAll(gate), ['b-1'])
  await gate.leave(roundOf('b-1'))
  for (const id of ['a-1', 'a-2', 'b-1']) t.equal(await gate.state(roundOf(id)), null)
})

t.test('[QUOTA-2] so many new rounds in an hour, each counted once, on whatever node', async (t) => {
  const prefix = `test-${randomUUID()}`
  const nodes = [1, 2].map(() => open(t, { maxPerHour: 3 }, prefix))
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => nodes[i % 2]?.reserve('a', roundOf(`a-${i % 5}`)).then((answer) => [i % 5, answer] as const)),
  )
  const [gate = open(t)] = nodes
  const counted = new Set(answers.flatMap((answer) => (answer?.[1].ok ? [answer[0]] : [])))
  t.equal(counted.size, 3)
  for (const i of [0, 1, 2, 3, 4]) t.match(await gate.reserve('a', roundOf(`a-${i}`)), { ok: counted.has(i) })
  t.match(await gate.reserve('b', roundOf('b-1')), { ok: true }, 'each user has an hour of their own')
})

t.test('[QUOTA-2] the hour slides: the refusal says when the next one is possible, and then it is', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxPerHour: 2 }, prefix)
  const hour = new RedisKeys(prefix).scheduler().hour('a')
  await gate.reserve('a', roundOf('a-1'))
  await gate.reserve('a', roundOf('a-2'))
  // As if it had come at another time.
  const cameAgo = (ms: number) => admin.zadd(hour, Date.now() - ms, 'a-1~1')
  await cameAgo(3000_000)
  const refused = await gate.reserve('a', roundOf('a-3'))
  if (refused.ok) return t.fail('three in an hour of two')
  t.equal(refused.reason, 'hour')
  t.ok(refused.retryAfterMs > 500_000 && refused.retryAfterMs <= 600_000, String(refused.retryAfterMs))
  await cameAgo(3600_000)
  t.match(await gate.reserve('a', roundOf('a-3')), { ok: true })
  t.match(await gate.reserve('a', roundOf('a-4')), { ok: false, reason: 'hour' })
  const left = await admin.pttl(hour)
  t.ok(left > 3590_000 && left <= 3600_000, 'what is counted is kept for an hour')
})

t.test('[QUOTA-2] where the limit was lowered, room comes when so many have passed that one fits', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxPerHour: 1 }, prefix)
  const now = Date.now()
  await admin.zadd(new RedisKeys(prefix).scheduler().hour('a'), now - 3000_000, 'a-1~1', now - 2000_000, 'a-2~1', now - 1000_000, 'a-3~1')
  const refused = await gate.reserve('a', roundOf('a-4'))
  if (refused.ok) return t.fail('four in an hour of one')
  t.ok(refused.retryAfterMs > 2500_000 && refused.retryAfterMs <= 2600_000, String(refused.retryAfterMs))
})

t.test('[QUOTA-3] so many may wait, of one user and of all, of all queues together', async (t) => {
  const gate = open(t, { maxWaitingPerUser: 2, maxWaiting: 3 })
  await enterAll(gate, ['a-1'])
  await enterAll(gate, ['a-b1'], 'benchmark')
  t.match(await gate.reserve('a', roundOf('a-2')), { ok: false, reason: 'waiting', retryAfterMs: 10_000 })
  t.match(await gate.reserve('b', roundOf('b-1')), { ok: true })
  await enterAll(gate, ['b-1'])
  t.match(await gate.reserve('c', roundOf('c-1')), { ok: false, reason: 'full', retryAfterMs: 10_000 })
  t.match(await gate.reserve('b', roundOf('b-1')), { ok: true }, 'what was counted is not refused any more')
  await takeAll(gate, 1)
  t.match(await gate.reserve('c', roundOf('c-1')), { ok: true })
  t.match(await gate.reserve('a', roundOf('a-2')), { ok: true })
})

t.test('[KEEP-1] when all have left nothing remains of any user but what expires', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, {}, prefix)
  const odd = ['a', 'run:b', 'a}b', '{x', 'é ü', 'line\nbreak', '~1 2']
  const rounds = odd.flatMap((owner, i) => [1, 2, 3].map((n) => ({ id: `j${i}-${n}`, round: n, queue: 'run', owner, isFree: n === 3 })))
  for (const round of rounds) {
    await gate.reserve(round.owner, round)
    await gate.enter(round)
  }
  t.equal((await takeAll(gate)).length, 3 * odd.length, 'two places each, and one that takes none')
  for (const round of rounds) t.equal(await gate.leave(round), 'run')
  const { base } = new RedisKeys(prefix).scheduler()
  const keys = await admin.keys(`${prefix}*`)
  const stay = []
  for (const key of keys) if ((await admin.pttl(key)) < 0) stay.push(key)
  t.same(stay.toSorted(), [`${base}queues`, `${base}turn`])
})

t.test('the fair scheduler lies in one slot of a cluster', async (t) => {
  const cluster = await startTestRedis(t, ['--cluster-enabled', 'yes'])
  await inClusterMode(cluster.url)
  const gate = openGate(t, cluster.url)
  await gate.reserve('a}b', roundOf('a-1'))
  await gate.enter({ ...roundOf('a-1'), owner: 'a}b' })
  t.same(await takeAll(gate), ['a-1'])
  t.equal(await gate.leave(roundOf('a-1')), 'run')
})

/** What `RedisDepths` tells of a prefix, a line a queue: its name, and how many rounds wait, are held, and are active. */
function depthsOf(t: Test, prefix: string, limits: Partial<DepthLimits> = {}) {
  const commands = connectCommands({ url: redis.url })
  t.teardown(() => commands.disconnect())
  const depths = new RedisDepths(commands, new RedisKeys(prefix), { maxActivePerUser: 2, maxUsers: 100, ...limits })
  const lines = async () => (await depths.read()).map(({ queue, waiting, held, active }) => `${queue} ${waiting} ${held} ${active}`).sort()
  return { depths, lines }
}

t.test('the depths of the queues change as rounds come, are handed out, and go', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxActivePerUser: 2 }, prefix)
  const { depths, lines } = depthsOf(t, prefix)
  t.same(await lines(), [])
  await enterAll(gate, ['a-1', 'a-2', 'a-3'])
  await enterAll(gate, ['a-1', 'b-1'], 'benchmark')
  t.same(await lines(), ['benchmark 1 0 0', 'run 2 1 0'], 'one that is here already is no other one')
  const first = await gate.next()
  const second = await gate.next()
  const waits = async () => (await depths.read()).filter(({ headWaitMs }) => headWaitMs > 0).length
  await eventually(async () => (await waits()) === 2)
  t.same(await lines(), ['benchmark 0 0 1', 'run 1 1 1'], 'one place of two is left')
  for (const round of [first, second]) await gate.started(round ?? roundOf('none'))
  t.equal(await waits(), 0, 'a worker has them')
  await takeAll(gate)
  t.same(await lines(), ['benchmark 0 0 1', 'run 0 1 2'])
  await gate.leave(roundOf('a-3'))
  await gate.leave(roundOf('a-3'))
  await gate.leave(roundOf('a-1'))
  t.same(await lines(), ['benchmark 0 0 1', 'run 0 0 1'])
})

t.test('of a user with a thousand jobs only as many count as waiting as the user may have; the others are held', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, { maxActivePerUser: 10 }, prefix)
  const { lines } = depthsOf(t, prefix, { maxActivePerUser: 10 })
  await Promise.all(Array.from({ length: 1000 }, (_, i) => gate.enter(roundOf(`a-${i}`))))
  t.same(await lines(), ['run 10 990 0'])
  await takeAll(gate)
  t.same(await lines(), ['run 0 990 10'])
  await gate.enter({ ...roundOf('a-part'), isFree: true })
  await enterAll(gate, ['b-1'])
  t.same(await lines(), ['run 2 990 10'], 'a part needs no place, and another user has some')
})

t.test('the depths are of what is there, whoever has written it: nothing is kept in step beside it', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, {}, prefix)
  await enterAll(gate, ['a-1', 'a-2'])
  await takeAll(gate, 1)
  // As an older version has left it, which knew of no other keys.
  const { base } = new RedisKeys(prefix).scheduler()
  const known = /:(queues|waiting|admitted|ring|served|window|turn)(:|$)/
  for (const key of await admin.keys(`${prefix}*`)) if (!known.test(key.slice(base.length - 1))) await admin.del(key)
  const { lines } = depthsOf(t, prefix)
  t.same(await lines(), ['run 1 0 1'])
  for (const id of ['a-1', 'a-2']) await gate.leave(roundOf(id))
  t.same(await lines(), ['run 0 0 0'], 'never less than nothing')
})

t.test('of more users than are looked at, each counts for one round', async (t) => {
  const prefix = `test-${randomUUID()}`
  const gate = open(t, {}, prefix)
  await enterAll(gate, ['a-1', 'b-1', 'b-2', 'c-1', 'd-1', 'd-2'])
  await takeAll(gate, 1)
  t.same(await depthsOf(t, prefix).lines(), ['run 5 0 1'])
  // b is looked at, c and d stand in the ring, a has no more.
  t.same(await depthsOf(t, prefix, { maxUsers: 1 }).lines(), ['run 4 0 1'])
  await gate.enter(roundOf('a-2'))
  t.same(await depthsOf(t, prefix, { maxUsers: 1 }).lines(), ['run 5 0 1'], 'one who has an active round is always looked at, and once')
})
