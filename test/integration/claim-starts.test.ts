import { setMaxListeners } from 'node:events'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { runEvents } from '../../src/core/run-events.js'
import { ClaimService } from '../../src/jobs/claims/claim-service.js'
import { MAX_WAITING } from '../../src/jobs/claims/long-poll-waiters.js'
import { JobService } from '../../src/jobs/job-service.js'
import { BullClaims } from '../../src/queue/bullmq/claims.js'
import type { ClaimedRound, Claims } from '../../src/queue/claims.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { overriding } from '../support/overriding.js'
import { startTestRedis } from '../support/redis.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

const WORKER = { sub: 'worker-1', role: 'worker' } as const
const COMPLETED = { type: 'completed', metrics_summary: { f: 3 } }
const NOBODY = new AbortController().signal
setMaxListeners(0, NOBODY)

function partsOf(h: Harness) {
  const parts = h.nodes[0]?.hub.parts
  if (!parts) throw new Error('no node')
  return parts
}

interface Hooks {
  readonly solvers?: readonly string[]
  /** What happens between the queue's answer and whoever waits for it. */
  readonly onTaken?: (taken: ClaimedRound) => Promise<void>
  /** What happens between the last renewal of a claim and its commit. */
  readonly onSettle?: () => Promise<unknown>
  /** What happens when the record of a claim has been written. */
  readonly onWritten?: () => void
}

/** Claims on the Redis of a harness. */
function claimsOf(t: Test, h: Harness, { solvers = [], onTaken, onSettle, onWritten }: Hooks = {}) {
  const lockMs = h.config.WORKER_LOCK_MS
  const onFault = (error: unknown) => h.faults.push(error)
  const prefix = new RedisKeys(h.config.REDIS_PREFIX).queues()
  const adapter = new BullClaims({ url: h.config.REDIS_URL, prefix, lockMs, keepMs: 1000, onFault })
  const take: Claims['claim'] = async (queue) => {
    const taken = await adapter.claim(queue)
    if (taken) await onTaken?.(taken)
    return taken
  }
  const settle: Claims['settle'] = async (...settled) => {
    await onSettle?.()
    return adapter.settle(...settled)
  }
  const write: Claims['write'] = async (...record) => {
    const isWritten = await adapter.write(...record)
    onWritten?.()
    return isWritten
  }
  const spied = overriding(overriding(overriding(adapter, 'claim', take), 'settle', settle), 'write', write)
  const claims = new ClaimService({ ...partsOf(h), solvers, claims: spied, lockMs, onFault })
  t.teardown(() => claims.close())
  return {
    claims,
    claim: ({ solver, waitMs = 500, gone = NOBODY }: { solver?: string; waitMs?: number; gone?: AbortSignal } = {}) =>
      claims.claim({ kind: 'run', by: WORKER, solver, waitMs, gone, confirm: () => {} }),
  }
}

t.test('[CLAIM-3] the runs of a configured solver are claimed by its name, and by no other claim', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = new JobService({ ...partsOf(h), solvers: ['mine'] })
  const { claims, claim } = claimsOf(t, h, { solvers: ['mine'] })
  const { id } = await jobs.submit({ owner: 'alice', kind: 'run', solver: 'mine', input: { anything: 1 } })
  t.equal(await claim(), null)
  t.equal(await claim({ solver: 'horn-2d' }), null)
  const job = await claim({ solver: 'mine' })
  if (!job) throw new Error('nothing claimed')
  t.match(job, { id, kind: 'run', input: { anything: 1 }, attempt: 1 })
  const { round, token } = job
  t.match(await claims.post(id, WORKER, { round, token, n: 1, events: [COMPLETED] }), { status: 'completed' })
  t.same(h.faults, [])
})

t.test('[CLAIM-3] who drains sends away whoever waits and whoever comes, and takes posts until the end', async (t) => {
  const h = await startHarness(t, { processor: null })
  const { claims, claim } = claimsOf(t, h)
  const id = await h.submit()
  const job = await claim()
  if (!job) throw new Error('nothing claimed')
  const waiting = claim({ waitMs: 30_000 })
  const begun = Date.now()
  await claims.drain()
  t.equal(await waiting, null)
  t.ok(Date.now() - begun < 5000)
  await t.rejects(claim(), { code: 'restart' })
  const { round, token } = job
  t.match(await claims.post(id, WORKER, { round, token, n: 1, events: [COMPLETED] }), { status: 'completed' })
})

t.test('[CLAIM-3] whoever leaves need not wait for it; what was just taken for them goes back at once', async (t) => {
  const h = await startHarness(t, { processor: null, env: { WORKER_LOCK_MS: '60000' } })
  const leaving = new AbortController()
  const { claim } = claimsOf(t, h, { onTaken: async () => leaving.abort() })
  const begun = Date.now()
  const early = new AbortController()
  const left = claim({ waitMs: 30_000, gone: early.signal })
  early.abort()
  t.equal(await left, null)
  const id = await h.submit()
  t.equal(await claim({ waitMs: 30_000, gone: leaving.signal }), null)
  t.match(await claimsOf(t, h).claim({ waitMs: 10_000 }), { id, attempt: 1, token: 2 })
  t.ok(Date.now() - begun < 15_000)
  t.same(h.faults, [])
})

type Spoil = (h: Harness, id: string) => Promise<unknown>
const cancel: Spoil = (h, id) => h.call('POST', `/api/v2/runs/${id}/cancel`)
/** It is computed, and cancelled, by a worker that is lost then. */
const cancelRunning: Spoil = async (h, id) => {
  await partsOf(h).broker.publish(id, [runEvents.status(id, 'running')], { round: 1, token: 0, n: 1 })
  await cancel(h, id)
}
/** As if workers had been lost in all of its attempts. */
const loseAll: Spoil = async (h, id) => {
  const again = { ...runEvents.status(id, 'retrying', 'the worker was lost'), clears: 'attempt' } as const
  const start = runEvents.status(id, 'running')
  await partsOf(h).broker.publish(id, [start, again, start, again, start], { round: 1, token: 0, n: 1 })
}

for (const [how, spoil, end] of [
  ['is cancelled', cancel, { type: 'cancelled' }],
  ['is being cancelled', cancelRunning, { type: 'cancelled' }],
  ['has no attempt left', loseAll, { type: 'error', code: 'worker_lost', error: /attempt 3 of 3/ }],
] as [string, Spoil, object][]) {
  t.test(`[CLAIM-1] [ATTEMPT-2] a run that ${how} when it is taken is no claim: the next one is`, async (t) => {
    const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
    const spoilt = await h.submit()
    const client = await h.connect(spoilt)
    const next = await h.submit()
    const { claims, claim } = claimsOf(t, h, { onTaken: async ({ id }) => void (id === spoilt && (await spoil(h, id))) })
    const job = await claim({ waitMs: 10_000 })
    t.match(job, { id: next, attempt: 1 })
    await eventually(() => client.messages.some(({ type }) => type === 'cancelled' || type === 'error'))
    t.match(client.messages.at(-1), end)
    if (job) await claims.post(next, WORKER, { round: job.round, token: job.token, n: 1, events: [COMPLETED] })
    const { store, backlog } = partsOf(h)
    t.same(await backlog.state({ queue: 'run', id: spoilt, round: 1 }), { at: 'missing' }, 'and nothing of it stays in the queue')
    t.same(await store.active(Number.MAX_SAFE_INTEGER, 10), [])
    t.same(h.faults, [])
  })
}

t.test('[CLAIM-6] a lease that is lost in the very moment of an end: nothing of that end is there', async (t) => {
  const h = await startHarness(t, { processor: null, env: { SWEEP_INTERVAL_MS: '600000' } })
  const redis = new Redis(h.redis.url)
  t.teardown(() => redis.disconnect())
  for (const end of [COMPLETED, { type: 'failed', error: 'no' }]) {
    const id = await h.submit()
    const key = `${new RedisKeys(h.config.REDIS_PREFIX).queues()}:run:${id}~1`
    const { claims, claim } = claimsOf(t, h, { onSettle: () => redis.set(`${key}:lock`, 'of another one') })
    const job = await claim()
    if (!job) throw new Error('nothing claimed')
    const post = { round: job.round, token: job.token, n: 1, events: [end] }
    await t.rejects(claims.post(id, WORKER, post), { code: 'stale_writer' }, end.type)
    t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'running')
    t.notOk(JSON.parse((await redis.hget(key, 'data')) ?? '').outcome)
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-6] [STATE-9] a lost claim goes back to the queue, however often: the hash alone counts', async (t) => {
  const h = await startHarness(t, { processor: null, env: { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '600000' } })
  const redis = new Redis(h.redis.url)
  t.teardown(() => redis.disconnect())
  const prefix = new RedisKeys(h.config.REDIS_PREFIX).queues()
  const claims = new BullClaims({ url: h.redis.url, prefix, lockMs: 1000, keepMs: 1000, onFault: (error) => h.faults.push(error) })
  t.teardown(() => claims.close())
  const id = await h.submit()
  const { backlog } = partsOf(h)
  for (const token of [1, 2, 3]) {
    const taken = await eventually(() => claims.claim('run'))
    t.match(taken, { id, token })
    t.ok(await claims.renew(taken, taken.lock))
    await redis.del(`${prefix}:run:${id}~1:lock`)
    const state = await eventually(async () => {
      await claims.recover('run')
      const now = await backlog.state(taken)
      return now.at !== 'active' && now
    })
    t.same(state, { at: 'waiting' })
    t.notOk(await claims.renew(taken, taken.lock))
  }
  t.same(h.faults, [])
})

t.test('[CLAIM-3] whoever leaves between the take and the start costs the job no attempt', async (t) => {
  const h = await startHarness(t, { processor: null, env: { WORKER_LOCK_MS: '60000', SWEEP_INTERVAL_MS: '600000' } })
  const { broker } = partsOf(h)
  const read = broker.read.bind(broker)
  const id = await h.submit()
  const [early, late] = [new AbortController(), new AbortController()]
  broker.read = (...asked) => {
    early.abort()
    return read(...asked)
  }
  t.equal(await claimsOf(t, h).claim({ gone: early.signal }), null)
  broker.read = read
  t.equal(await claimsOf(t, h, { onWritten: () => late.abort() }).claim({ gone: late.signal }), null)
  t.match((await read(id))?.state, { status: 'queued', seq: 1 })
  t.match(await claimsOf(t, h).claim(), { id, attempt: 1, token: 3 })
  t.same(h.faults, [])
})

t.test('[CLAIM-3] a hub lets so many claims wait and no more, until one of them leaves', async (t) => {
  const h = await startHarness(t, { processor: null })
  const { claims, claim } = claimsOf(t, h)
  const leaving = new AbortController()
  const first = claim({ waitMs: 60_000, gone: leaving.signal })
  const others = Array.from({ length: MAX_WAITING - 1 }, () => claim({ waitMs: 60_000, gone: new AbortController().signal }))
  t.equal(claims.waiting, MAX_WAITING)
  await t.rejects(claim(), { code: 'overloaded', retryAfterMs: 1000 })
  leaving.abort()
  t.equal(await first, null)
  const id = await h.submit()
  const last = claim({ waitMs: 60_000, gone: new AbortController().signal })
  t.match(await others[0], { id }, 'whoever has waited longest gets it')
  await claims.drain()
  t.same(new Set(await Promise.all([...others.slice(1), last])), new Set([null]))
  t.equal(claims.waiting, 0)
  t.same(h.faults, [])
})

t.test('[CLAIM-4] only a Redis that does not answer, or not now, is told as overloaded; any other fault as what it is', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: null })
  const redis = new Redis(h.redis.url)
  t.teardown(() => redis.disconnect())
  const prefix = new RedisKeys(h.config.REDIS_PREFIX).queues()
  const claims = new BullClaims({ url: h.redis.url, prefix, lockMs: 10_000, keepMs: 1000, onFault: (error) => h.faults.push(error) })
  t.teardown(() => claims.close())
  const id = await h.submit()
  const taken = await eventually(() => claims.claim('run'))
  const key = `${prefix}:run:${id}~1`
  const data = (await redis.hget(key, 'data')) ?? ''
  await redis.hset(key, 'data', '{')
  await t.rejects(claims.settle(taken, taken.lock, { how: 'returned' }), SyntaxError)
  await redis.hset(key, 'data', data)
  await redis.replicaof('127.0.0.1', 1)
  await t.rejects(claims.count(taken), { code: 'overloaded' }, 'a replica takes no writes')
  await t.rejects(claims.renew(taken, taken.lock), { code: 'overloaded' })
  await redis.replicaof('NO', 'ONE')
  t.ok(await claims.renew(taken, taken.lock))
})
