import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type BrokerLimits, DEFAULT_BROKER_LIMITS } from '../../src/storage/broker.js'
import { RedisBroker } from '../../src/storage/redis/broker.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { BUILT_IN } from '../support/kinds.js'
import { startTestRedis } from '../support/redis.js'
import { type Backend, listenTo, openRedis, readable, seqsOf } from './backend.js'
import { inClusterMode } from './cluster.js'
import { startRedisProxy } from './redis-proxy.js'
import { entering, metric, newJob, progress, TestJob } from './test-job.js'

t.setTimeout(120_000)
const redis = await startTestRedis(t)

function open(t: Test, limits?: Partial<BrokerLimits>, url = redis.url): Backend {
  return openRedis(t, url, limits)
}

function adminOf(t: Test, url = redis.url): Redis {
  const admin = new Redis(url)
  t.teardown(() => admin.disconnect())
  return admin
}

/** How many scripts Redis was asked to run. */
async function scriptsRun(admin: Redis): Promise<number> {
  const stats = await admin.info('commandstats')
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

/** The values of a job's metrics, in the order of the log. */
async function valuesOf(job: TestJob): Promise<unknown[]> {
  const { entries } = await job.history()
  return entries.flatMap((entry) => (entry.key === 'metric:a' ? [JSON.parse(entry.body.toString()).value] : []))
}

t.test('[CONN-8] every node hears and reads the same bytes', async (t) => {
  const publisher = open(t)
  const nodes = [1, 2].map(() => openRedis(t, redis.url, {}, publisher.prefix))
  const heard = nodes.map((node) => listenTo(node.broker))
  const job = await TestJob.create(publisher)
  for (const node of nodes) await node.broker.subscribe(job.id)
  await job.enter('running')
  await job.write(progress(job.id, 10), metric(job.id, 'a', 1))
  await job.enter('completed')
  for (const { entries } of heard) await eventually(() => entries.length === 4)
  t.same(heard[0]?.entries.map(readable), heard[1]?.entries.map(readable))
  const states = await Promise.all(nodes.map(async (node) => (await node.broker.read(job.id))?.state))
  t.same(states[0], states[1])
})

t.test('all keys of a job lie in one slot, whatever its id', async (t) => {
  const cluster = await startTestRedis(t, ['--cluster-enabled', 'yes'])
  await inClusterMode(cluster.url)
  const admin = adminOf(t, cluster.url)
  const keys = new RedisKeys('runcast:test')
  const slots = new Set<number>()
  for (const id of ['a', 'a.b_c-d', 'x'.repeat(128)]) {
    const [slot = -1, ...others] = await Promise.all(
      [...keys.all(id), keys.live(id), keys.telemetry(id)].map((key) => admin.cluster('KEYSLOT', key)),
    )
    t.ok(others.every((other) => other === slot))
    slots.add(slot)
  }
  t.equal(slots.size, 3, 'and those of other jobs in others')
})

t.test('a job lives as long as it is looked after, and after its end for as long as it is kept', async (t) => {
  const limits = { activeTtlMs: 600_000, finalTtlMs: 60_000 }
  const backend = open(t, limits)
  const admin = adminOf(t)
  const keys = new RedisKeys(backend.prefix)
  const job = await TestJob.create(backend)
  const owned = keys.owned('alice', 'run')
  const livesFor = async (ttl: number, when: string) => {
    for (const key of [keys.job(job.id), keys.log(job.id)]) {
      const left = await admin.pttl(key)
      t.ok(left > ttl - 5000 && left <= ttl, `${when}: ${left} ms`)
    }
  }
  await livesFor(limits.activeTtlMs, 'at create')
  const ownedFor = await admin.pttl(owned)
  t.ok(ownedFor > limits.activeTtlMs + limits.finalTtlMs - 5000, `its owner finds it for ${ownedFor} ms`)
  for (const key of [keys.job(job.id), keys.log(job.id), owned]) await admin.pexpire(key, 100_000)
  await job.enter('running')
  await livesFor(100_000, 'a write is not what keeps it')
  await backend.store.touch(job, Date.now())
  await livesFor(limits.activeTtlMs, 'touched')
  t.ok((await admin.pttl(owned)) > ownedFor - 5000, 'and its owner finds it for as long')
  await job.enter('failed')
  await livesFor(limits.finalTtlMs, 'final')
  await backend.store.touch(job, Date.now())
  await livesFor(limits.finalTtlMs, 'touched too late')
  await job.retry()
  await livesFor(limits.activeTtlMs, 'in a new round')
})

t.test('[POS-6] a job that has expired is gone, and its id begins another count', async (t) => {
  const backend = open(t, { finalTtlMs: 1 })
  const job = await TestJob.in(backend, 'running')
  const { epoch } = await job.state()
  await job.enter('completed')
  await eventually(async () => (await backend.broker.read(job.id)) === null)
  t.equal(await backend.store.history(job.id, 0, 10), null)
  t.match(await job.write(progress(job.id, 1)), { ok: false, reason: 'unknown_job' })
  await TestJob.create(backend, { id: job.id })
  const reading = await backend.broker.read(job.id, { epoch, seq: 1 })
  t.not(reading?.state.epoch, epoch)
  t.equal(reading?.missed, undefined)
  t.same(seqsOf((await backend.store.history(job.id, 0, 10))?.entries), [1])
})

t.test('a log or checkpoint that outlived its job is not taken over by the next one', async (t) => {
  const backend = open(t)
  const [admin, keys] = [adminOf(t), new RedisKeys(backend.prefix)]
  const job = await TestJob.in(backend, 'completed')
  await admin.del(keys.job(job.id))
  await admin.hset(keys.checkpoint(job.id), { version: 3, round: 1, parts: '', data: '{}' })
  const next = await TestJob.create(backend, { id: job.id })
  t.equal(await backend.broker.load(job.id), null)
  t.same(seqsOf((await next.history()).entries), [1])
})

t.test('[LOG-1] lines and kept entries that outlived their job are never shown', async (t) => {
  const backend = open(t, { maxLogEntries: 100 })
  const admin = adminOf(t)
  const keys = new RedisKeys(backend.prefix)
  const job = await TestJob.in(backend, 'running')
  await job.logs(['of the first owner'])
  for (let i = 0; i < 5; i += 1) await job.write(...Array.from({ length: 50 }, (_, k) => metric(job.id, 'a', k)))
  await admin.del(keys.job(job.id))
  // A hub of an earlier version does not know these keys, so it deletes none of them.
  for (const key of [keys.lines(job.id), keys.kept(job.id)]) await admin.rename(key, `${key}:aside`)
  const next = await TestJob.create(backend, { id: job.id, owner: 'bob' })
  for (const key of [keys.lines(job.id), keys.kept(job.id)]) await admin.rename(`${key}:aside`, key)
  const query = { limit: 100, maxBytes: 100_000 }
  t.match(await backend.telemetry.lines(job.id, query), { owner: 'bob', last: 0, lines: [] })
  t.same(seqsOf((await next.history()).entries), [1])
  await next.enter('running')
  await next.logs(['of the second owner'])
  const page = await backend.telemetry.lines(job.id, query)
  t.match(page, { first: 1, last: 1 })
  t.notMatch(String(page?.lines), /first owner/)
  for (let i = 0; i < 5; i += 1) await next.write(...Array.from({ length: 50 }, (_, k) => metric(job.id, 'a', k)))
  t.same(seqsOf((await next.history()).entries.slice(0, 2)), [1, 2], 'its own status messages')
})

t.test('[KEEP-1] everything of a job lives as long as the job', async (t) => {
  const limits = { activeTtlMs: 600_000, finalTtlMs: 60_000, maxLogEntries: 100 }
  const backend = open(t, limits)
  const admin = adminOf(t)
  const job = await TestJob.in(backend, 'running')
  await job.logs(['line'])
  for (let i = 0; i < 5; i += 1) await job.write(...Array.from({ length: 50 }, (_, k) => metric(job.id, 'a', k)))
  const [hash, log, kept, lines] = new RedisKeys(backend.prefix).all(job.id)
  const liveFor = async (ttl: number, when: string) => {
    for (const key of [hash, log, kept, lines]) {
      const left = await admin.pttl(key)
      t.ok(left > ttl - 5000 && left <= ttl, `${key} ${when}: ${left}`)
    }
  }
  await liveFor(limits.activeTtlMs, 'while it runs')
  for (const key of [hash, log, kept, lines]) await admin.pexpire(key, 100_000)
  await backend.store.touch(job, Date.now())
  await liveFor(limits.activeTtlMs, 'touched')
  await job.enter('failed')
  await liveFor(limits.finalTtlMs, 'after its end')
  await backend.store.expireSoon(job.id)
  await liveFor(limits.finalTtlMs, 'which is sooner than a child job is kept')
})

t.test('[POS-6] [LOG-1] a restarted Redis goes on with the log in another epoch', async (t) => {
  const backend = open(t)
  const job = await TestJob.in(backend, 'running')
  await job.logs(['before'])
  const query = { limit: 100, maxBytes: 100_000 }
  const before = await backend.telemetry.lines(job.id, query)
  const { epoch } = await job.state()
  await redis.restart()
  t.equal((await eventually(() => backend.telemetry.lines(job.id, query)))?.epoch, before?.epoch, 'nothing was written since')
  await job.logs(['after'])
  const after = await backend.telemetry.lines(job.id, query)
  t.not(after?.epoch, before?.epoch)
  t.match(after, { oldest: 1, last: 2 })
  t.same(seqsOf((await backend.broker.read(job.id, { epoch, seq: 1 }))?.missed), [2], 'positions of entries stay valid')
  await job.enter('failed')
  t.same(seqsOf((await backend.broker.read(job.id, { epoch, seq: 1 }))?.missed), [2, 3])
})

t.test('[JOB-2] a submit that died half-way is completed by its repetition', async (t) => {
  const backend = open(t)
  const job = newJob()
  await backend.store.create(job, entering(job.id, 'queued'))
  await backend.store.deactivate({ ...job, round: 1 })
  await backend.store.forget(job.owner, job.id)
  t.match(await backend.store.create({ ...job, owner: 'mallory' }, entering(job.id, 'queued')), { created: false })
  t.same(await backend.store.active(Date.now(), 10), [])
  t.match(await backend.store.create(job, entering(job.id, 'queued')), { created: false })
  t.same(await backend.store.active(Date.now(), 10), [{ id: job.id, round: 1 }])
  t.same(await backend.store.list(job.owner, 'run', 10), { ids: [job.id] })
})

t.test('[POS-7] a lost subscription is told as a gap once it stands again, and what was published meanwhile is read', async (t) => {
  const backend = open(t)
  const { broker } = backend
  const admin = adminOf(t)
  const [job, other] = [await TestJob.in(backend, 'running'), await TestJob.in(backend, 'running')]
  const delivered: number[] = []
  const gaps: string[] = []
  let afterGap: Promise<unknown> | undefined
  broker.listen({
    entry: (entry) => entry.id === job.id && delivered.push(entry.seq),
    gap: (id) => {
      gaps.push(id)
      // Published in the moment of the word: it is delivered only if the subscription stands.
      if (id === job.id) afterGap ??= job.write(metric(job.id, 'a', 4))
    },
  })
  await eventually(() => broker.ready())
  for (const { id } of [job, other]) await broker.subscribe(id)
  await job.write(metric(job.id, 'a', 1))
  await eventually(() => delivered.length === 1)
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await job.write(metric(job.id, 'a', 2))
  await job.write(metric(job.id, 'a', 3), progress(job.id, 10))
  await eventually(() => afterGap)
  await eventually(() => delivered.includes(7))
  t.same(delivered, [3, 7], 'what was published meanwhile was lost')
  t.same(gaps.toSorted(), [job.id, other.id].toSorted())
  t.same(seqsOf(await job.since(3)), [4, 5, 6, 7])
})

t.test('[POS-7] a fault of a program while subscriptions are restored is reported, and they are restored again', async (t) => {
  const faults: string[] = []
  const onFault = ({ message }: Error) => void faults.push(message)
  const broker = new RedisBroker({
    kinds: BUILT_IN,
    url: redis.url,
    prefix: `test-${randomUUID()}`,
    limits: DEFAULT_BROKER_LIMITS,
    onFault,
  })
  t.teardown(() => broker.close())
  const gap = () => {
    if (!faults.includes('a bug')) throw new TypeError('a bug')
  }
  broker.listen({ entry: () => {}, gap })
  await eventually(() => broker.ready())
  await broker.subscribe('job')
  await adminOf(t).call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await eventually(() => faults.includes('a bug'))
  await eventually(() => broker.ready())
})

t.test('[POS-7] what is no entry is taken for a gap, and the node lives on', async (t) => {
  const backend = open(t)
  const heard = listenTo(backend.broker)
  const job = await TestJob.in(backend, 'running')
  await eventually(() => backend.broker.ready())
  await backend.broker.subscribe(job.id)
  await adminOf(t).publish(new RedisKeys(backend.prefix).live(job.id), 'hello?')
  await job.write(metric(job.id, 'a', 1))
  await eventually(() => heard.entries.length === 1)
  t.same(heard.gaps, [job.id])
})

t.test('[POS-7] telemetry of another program is taken for a gap, and a message that cannot be handled is reported', async (t) => {
  const faults: Error[] = []
  const backend = open(t)
  const broker = new RedisBroker({
    url: redis.url,
    prefix: backend.prefix,
    limits: DEFAULT_BROKER_LIMITS,
    kinds: BUILT_IN,
    onFault: (error) => faults.push(error),
  })
  t.teardown(() => broker.close())
  const admin = adminOf(t)
  const gaps: string[] = []
  backend.telemetry.listen({ added: () => {}, gap: (id) => gaps.push(id) })
  await eventually(() => backend.broker.ready())
  await backend.telemetry.subscribe('j')
  const channel = new RedisKeys(backend.prefix).telemetry('j')
  for (const text of ['artifact g\n1 1 name 5 o {', 'artifact g\n1 1 name 5 o null', 'artifact g', 'append', 'series g', ''])
    await admin.publish(channel, text)
  await eventually(() => gaps.length === 6)
  const message = () => {
    throw new SyntaxError('no JSON')
  }
  await broker.channels.subscribe(channel, { message, gap: () => gaps.push('handler') })
  await admin.publish(channel, '')
  await eventually(() => gaps.includes('handler'))
  t.match(faults, [{ message: 'no JSON' }])
})

t.test('[WORDS-3] words that a job already has are not published again', async (t) => {
  const backend = open(t)
  const job = await TestJob.create(backend, { words: { title: 'a' } })
  const told: string[] = []
  const listener = adminOf(t)
  listener.on('message', (_channel, text) => told.push(text))
  await listener.subscribe(new RedisKeys(backend.prefix).live(job.id))
  t.equal(await backend.store.setWords(job.id, 'alice', { title: 'a', tags: '' }), true)
  t.equal(await backend.store.setWords(job.id, 'alice', { title: 'b' }), true)
  await eventually(() => told.length > 0)
  await job.enter('running')
  await eventually(() => told.at(-1) !== 'words')
  t.equal(told.length, 2)
})

t.test('a job with every field of its record still has MAX_KEYS keys', async (t) => {
  const backend = open(t, { maxKeys: 20 })
  const words = { title: 'a', tags: '["b"]', metadata: '{"c":1}' }
  const more = { solver: 's', parent: 'p', traceparent: 't', priority: 1, not_before: '2026-01-01T00:00:00.000Z' }
  const job = await TestJob.create(backend, { words, ...more })
  const { id } = job
  // What trimming, artifacts and a restart of Redis write.
  await adminOf(t).hset(new RedisKeys(backend.prefix).job(id), { kept: '1', artifacts: 'g', forks: 'e 1' })
  await job.enter('running')
  await job.logs(['line'], { events: [metric(id, 'm1', 1)] })
  for (let i = 2; i < 20; i += 1) t.match(await job.write(metric(id, `m${i}`, i)), { ok: true }, `metric ${i}`)
})

t.test('[POS-7] connections that are open but deaf are found and replaced, for subscriptions and for commands', async (t) => {
  const proxy = await startRedisProxy(t, redis.url)
  const { broker, prefix } = openRedis(t, proxy.url)
  const job = await TestJob.in(openRedis(t, redis.url, {}, prefix), 'running')
  const heard = listenTo(broker)
  await eventually(() => broker.ready())
  await broker.subscribe(job.id)
  proxy.deafen()
  t.notOk(await broker.ready(), 'it does not hear itself')
  await job.write(metric(job.id, 'a', 1))
  await eventually(() => heard.gaps.includes(job.id), { timeoutMs: 30_000 })
  t.same(heard.entries, [])
  await job.write(metric(job.id, 'a', 2))
  await eventually(() => heard.entries.length === 1)
  t.ok(await eventually(() => broker.ready()))
  t.ok(await eventually(() => broker.read(job.id), { timeoutMs: 20_000 }))
})

t.test('[STATE-4] a write whose answer was lost with the connection is done once', async (t) => {
  const proxy = await startRedisProxy(t, redis.url)
  const job = await TestJob.in(openRedis(t, proxy.url), 'running')
  const admin = adminOf(t)
  const before = await scriptsRun(admin)
  const cut = proxy.cutAtNextAnswer()
  const answer = job.write(metric(job.id, 'a', 1))
  await cut
  t.same(await answer, { ok: true, seq: 3, status: 'running' })
  t.equal((await scriptsRun(admin)) - before, 2, 'it was sent twice')
  t.same(await valuesOf(job), [1])
})

t.test('[STATE-4] connections may be killed at any moment: the caller repeats a rejected write, and each is done once', async (t) => {
  const backend = open(t)
  const admin = adminOf(t)
  const job = await TestJob.in(backend, 'running')
  const count = 120
  let kills = 0
  for (let value = 1; value <= count; value += 1) {
    const writes = [job.write(metric(job.id, 'a', value))]
    // Alternately before and after the write has reached Redis.
    if (value % 6 === 0) {
      if (value % 12 === 0) await new Promise(setImmediate)
      kills += Number(await admin.call('CLIENT', 'KILL', 'TYPE', 'normal'))
    }
    for (;;) {
      const answer = await writes.at(-1)?.catch(() => null)
      if (answer) {
        t.match(answer, { ok: true, seq: value + 2 })
        break
      }
      job.n -= 1
      writes.push(job.write(metric(job.id, 'a', value)))
    }
  }
  t.ok(kills >= count / 6, `${kills} connections were killed`)
  t.same(
    await valuesOf(job),
    Array.from({ length: count }, (_, i) => i + 1),
  )
  t.same(
    seqsOf((await job.history()).entries),
    Array.from({ length: count + 2 }, (_, i) => i + 1),
  )
})

t.test('[POS-6] a restarted Redis that has lost nothing goes on with the history in another epoch', async (t) => {
  const backend = open(t)
  const { broker } = backend
  const job = await TestJob.in(backend, 'running')
  await job.write(metric(job.id, 'a', 1))
  const first = await job.state()
  t.equal((await openRedis(t, redis.url, {}, backend.prefix).broker.read(job.id))?.state.epoch, first.epoch, 'each node sees the same')
  await redis.restart()
  const second = await eventually(() => job.state())
  t.not(second.epoch, first.epoch)
  t.same({ ...second, epoch: '', sinceHeartbeatMs: 0 }, { ...first, epoch: '', sinceHeartbeatMs: 0 })
  t.same(seqsOf((await broker.read(job.id, { epoch: first.epoch, seq: 2 }))?.missed), [3])
  await redis.restart()
  const third = await eventually(() => job.state())
  t.equal(third.generation, first.generation, 'nothing was written since')
  t.match(await job.write(metric(job.id, 'a', 2)), { ok: true, seq: 4 })
  t.not((await job.state()).generation, first.generation)
  for (const { epoch } of [first, second, third]) {
    t.same(seqsOf((await broker.read(job.id, { epoch, seq: 2 }))?.missed), [3, 4])
    t.same(seqsOf((await broker.read(job.id, { epoch, seq: 3 }))?.missed), [4])
    t.equal((await broker.read(job.id, { epoch, seq: 4 }))?.missed, undefined, 'no client of that epoch has the fourth')
  }
  t.same(seqsOf(await job.since(2)), [3, 4])
})

t.test('[POS-6] A fails over to B and back: what only A had is not taken for what B wrote', async (t) => {
  const [a, b] = [await startTestRedis(t), await startTestRedis(t)]
  const [adminA, adminB] = [adminOf(t, a.url), adminOf(t, b.url)]
  const follow = async (admin: Redis, { url }: { url: string }) => {
    await admin.config('SET', 'repl-diskless-sync-delay', '0')
    await admin.replicaof('127.0.0.1', new URL(url).port)
    await eventually(async () => (await admin.info('replication')).includes('master_link_status:up'))
  }
  for (const admin of [adminA, adminB]) await admin.config('SET', 'repl-diskless-sync-delay', '0')
  const onA = open(t, {}, a.url)
  const job = await TestJob.in(onA, 'running')
  await follow(adminB, a)
  // Connected while B is a replica, and promoted with the connection open.
  const onB = openRedis(t, b.url, {}, onA.prefix)
  await eventually(async () => (await onB.broker.read(job.id))?.state.seq === 2)
  await adminB.replicaof('NO', 'ONE')
  await job.write(metric(job.id, 'a', 1), metric(job.id, 'a', 2))
  const { epoch } = await job.state()
  const events = [metric(job.id, 'b', 1), metric(job.id, 'b', 2), metric(job.id, 'b', 3)]
  t.match(await onB.broker.publish(job.id, events, { round: 1, token: 2, n: 1 }), { ok: true, seq: 5 })
  await follow(adminA, b)
  await adminA.replicaof('NO', 'ONE')
  for (const { broker } of [onA, onB]) {
    const reading = await broker.read(job.id, { epoch, seq: 4 })
    t.equal(reading?.missed, undefined)
    t.not(reading?.state.epoch, epoch)
    t.same(seqsOf((await broker.read(job.id, { epoch, seq: 2 }))?.missed), [3, 4, 5], 'what both had goes on')
  }
})

t.test('[POS-4] a job that an earlier version has stored is read, resumed and finished', async (t) => {
  const backend = open(t)
  const job = await TestJob.in(backend, 'running')
  const asBefore = () => adminOf(t).hdel(new RedisKeys(backend.prefix).job(job.id), 'store', 'forks')
  await asBefore()
  const { epoch, generation } = await job.state()
  t.same(seqsOf(await job.since(1)), [2])
  await job.write(metric(job.id, 'a', 1))
  t.not((await job.state()).generation, generation, 'what follows names its store')
  t.same(seqsOf((await backend.broker.read(job.id, { epoch, seq: 1 }))?.missed), [2, 3])
  await asBefore()
  t.equal(await job.enter('failed'), 4)
  t.same(seqsOf((await job.history()).entries), [1, 2, 3, 4])
  await job.retry()
  t.match(await job.state(), { status: 'queued', round: 2, seq: 5 })
})

t.test('[OPS-1] [POS-7] a broker is ready when it hears itself, not while Redis is down, and again after', async (t) => {
  const backend = open(t)
  const { broker } = backend
  const heard = listenTo(broker)
  const [job, left] = [await TestJob.in(backend, 'running'), await TestJob.in(backend, 'running')]
  t.ok(await eventually(() => broker.ready()))
  for (const { id } of [job, left]) await broker.subscribe(id)
  await redis.kill()
  await eventually(async () => !(await broker.ready()))
  const { store } = backend
  // All at once, since each may take as long as a command may.
  const answers = await Promise.allSettled([
    broker.read(job.id),
    job.history(),
    store.active(0, 1),
    store.list('alice', 'run', 1),
    store.touch(job, 0),
    TestJob.create(backend),
    job.write(metric(job.id, 'a', 1)),
  ])
  for (const [i, answer] of answers.entries()) {
    t.match(answer, { status: 'rejected', reason: { name: 'RuncastError', code: 'overloaded' } }, `question ${i}`)
  }
  t.notOk(await broker.ready())
  await t.resolves(broker.unsubscribe(left.id), 'there is nothing to leave')
  await redis.restart()
  t.ok(await eventually(() => broker.ready()))
  await eventually(() => heard.gaps.includes(job.id))
  t.notOk(heard.gaps.includes(left.id))
  job.n -= 1
  t.match(await eventually(() => job.write(metric(job.id, 'a', 1))), { ok: true, seq: 3 })
  t.same(await valuesOf(job), [1])
  // The write that was rejected may have arrived before the subscription stood again; this one comes after.
  t.match(await job.write(metric(job.id, 'b', 2)), { ok: true, seq: 4 })
  await eventually(() => heard.entries.some(({ key }) => key === 'metric:b'))
})
