import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Identity } from '../../src/core/identity.js'
import { type AdmissionOptions, DEFAULT_ADMISSION_OPTIONS, RedisAdmission } from '../../src/storage/redis/admission.js'
import { connectCommands, connectSubscriptions } from '../../src/storage/redis/connection.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { RedisRevocations } from '../../src/storage/redis/revocations.js'
import { eventually } from '../support/eventually.js'
import { startTestRedis } from '../support/redis.js'
import { inClusterMode } from './cluster.js'
import { startRedisProxy } from './redis-proxy.js'

const redis = await startTestRedis(t)
const clustered = await startTestRedis(t, ['--cluster-enabled', 'yes'])
await inClusterMode(clustered.url)
const SERVERS = { 'a Redis': redis.url, 'a Redis in cluster mode': clustered.url }

const newKeys = () => new RedisKeys(`test-${randomUUID()}`)
const soon = () => Date.now() + 60_000
const SECOND = { timeoutMs: 1000, everyMs: 5 }

function identity(claims: Partial<Identity> = {}): Identity {
  return { sub: 'alice', role: 'user', issuedAt: Date.now() - 10_000, expiresAt: soon(), ...claims }
}

function openAdmission(t: Test, url: string, keys: RedisKeys, options: Partial<AdmissionOptions> = {}): RedisAdmission {
  const commands = connectCommands({ url })
  const admission = new RedisAdmission(commands, keys, { ...DEFAULT_ADMISSION_OPTIONS, maxPerUser: 5, ...options })
  t.teardown(() => {
    admission.close()
    commands.disconnect()
  })
  return admission
}

/** A node's revocations and how often it was told of news. */
function openRevocations(t: Test, url: string, keys: RedisKeys, subscriptionsUrl = url) {
  const commands = connectCommands({ url })
  const faults: unknown[] = []
  const subscriptions = connectSubscriptions({ url: subscriptionsUrl })
  const revocations = new RedisRevocations({ commands, subscriptions, keys, onFault: (error) => faults.push(error) })
  const node = { revocations, subscriptions, faults, news: 0 }
  revocations.listen(() => {
    node.news += 1
  })
  t.teardown(() => {
    revocations.close()
    commands.disconnect()
  })
  return node
}

function openAdmin(t: Test, url = redis.url): Redis {
  const admin = new Redis(url)
  t.teardown(() => admin.disconnect())
  return admin
}

for (const [name, url] of Object.entries(SERVERS)) {
  t.test(`[LIMIT-1] on ${name}: ten sockets of a user ask two nodes at the same moment, 200 times: five are admitted`, async (t) => {
    const keys = newKeys()
    const nodes = [openAdmission(t, url, keys), openAdmission(t, url, keys)]
    for (let round = 0; round < 200; round += 1) {
      const sockets = Array.from({ length: 10 }, (_, i) => ({ node: nodes[i % 2], id: `${round}-${i}` }))
      const answers = await Promise.all(sockets.map(({ node, id }) => node?.enter('alice', id)))
      const admitted = sockets.filter((_, i) => answers[i])
      if (admitted.length !== 5) t.fail(`${admitted.length} were admitted in round ${round}`)
      await Promise.all(admitted.map(({ node, id }) => node?.leave('alice', id)))
    }
    t.equal(await openAdmin(t, url).exists(keys.sockets('alice')), 0, 'nothing stays behind')
  })

  t.test(`[REV-3] on ${name}: what one node revokes the other knows within a second, and one that starts later too`, async (t) => {
    const keys = newKeys()
    const [one, other] = [openRevocations(t, url, keys), openRevocations(t, url, keys)]
    await Promise.all([one.revocations.ready(), other.revocations.ready()])
    t.notOk(one.revocations.isRevoked(identity({ jti: 'a b' })))
    await one.revocations.revoke({ jti: 'a b', until: soon() })
    t.ok(one.revocations.isRevoked(identity({ jti: 'a b' })), 'at once where it was asked for')
    await eventually(() => other.revocations.isRevoked(identity({ jti: 'a b' })), SECOND)
    await other.revocations.revoke({ sub: 'bob', before: Date.now(), until: soon() })
    await eventually(() => one.revocations.isRevoked(identity({ sub: 'bob' })), SECOND)
    t.notOk(one.revocations.isRevoked(identity()), 'nobody else')
    t.same([one.news, other.news], [2, 2], 'each was told of each once')
    const late = openRevocations(t, url, keys)
    await late.revocations.ready()
    t.ok(late.revocations.isRevoked(identity({ jti: 'a b' })))
    t.ok(late.revocations.isRevoked(identity({ sub: 'bob' })))
    t.same(
      [one, other, late].flatMap(({ faults }) => faults),
      [],
    )
  })
}

t.test(
  '[LIMIT-1] a socket that asks twice has one share; users do not count for each other; a share that is given back is free',
  async (t) => {
    const keys = newKeys()
    const node = openAdmission(t, redis.url, keys, { maxPerUser: 1 })
    t.equal(await node.enter('alice', 'a'), true)
    t.equal(await node.enter('alice', 'a'), true)
    t.equal(await node.enter('alice', 'b'), false)
    t.equal(await node.enter('b}ob', 'a'), true)
    await node.leave('alice', 'b')
    t.equal(await node.enter('alice', 'c'), false, 'who was refused has nothing to give back')
    await node.leave('alice', 'a')
    t.equal(await node.enter('alice', 'c'), true)
  },
)

t.test('[LIMIT-1] a socket that leaves while it asks keeps nothing', async (t) => {
  const keys = newKeys()
  const node = openAdmission(t, redis.url, keys)
  const asking = node.enter('alice', 'a')
  const leaving = node.leave('alice', 'a')
  t.equal(await asking, false)
  await leaving
  t.equal(await openAdmin(t).exists(keys.sockets('alice')), 0)
})

for (const [name, url] of Object.entries(SERVERS)) {
  t.test(`[LIMIT-1] on ${name}: shares of a dead node are free when its lease ends, long before their own`, async (t) => {
    const keys = newKeys()
    const dead = openAdmission(t, url, keys, { nodeLeaseMs: 300 })
    const alive = openAdmission(t, url, keys)
    for (const id of ['a', 'b', 'c']) t.equal(await dead.enter('alice', id), true)
    for (const id of ['a', 'b']) t.equal(await alive.enter('alice', id), true)
    t.equal(await alive.enter('alice', 'c'), false, 'it lives')
    dead.close()
    for (const id of ['c', 'd', 'e']) await eventually(() => alive.enter('alice', id), { everyMs: 20 })
    t.equal(await alive.enter('alice', 'f'), false, 'those of the living node still count')
    const members = await openAdmin(t, url).zrange(keys.sockets('alice'), 0, '-1')
    t.equal(members.length, 5)
  })
}

t.test('[LIMIT-1] the shares of a hub without a lease of its own expire by themselves', async (t) => {
  const keys = newKeys()
  const admin = openAdmin(t)
  const [seconds] = await admin.time()
  for (const id of ['a', 'b', 'c', 'd', 'e'])
    await admin.zadd(keys.sockets('alice'), Number(seconds) * 1000 + 60_000, `${randomUUID()}:${id}`)
  const node = openAdmission(t, redis.url, keys)
  t.equal(await node.enter('alice', 'a'), false, 'as an earlier version writes them')
  for (const member of await admin.zrange(keys.sockets('alice'), 0, '0'))
    await admin.zadd(keys.sockets('alice'), Number(seconds) * 1000 - 1, member)
  t.equal(await node.enter('alice', 'a'), true)
})

t.test('[LIMIT-1] a node that was away from Redis for longer than its lease renews it before it takes a share', async (t) => {
  const keys = newKeys()
  const admin = openAdmin(t)
  const node = openAdmission(t, redis.url, keys, { nodeLeaseMs: 200 })
  t.equal(await node.enter('alice', 'a'), true)
  const [member = ''] = await admin.zrange(keys.sockets('alice'), 0, '0')
  const lease = keys.node(member.slice(0, member.indexOf(':')))
  t.equal(await admin.exists(lease), 1)
  node.close()
  await eventually(async () => (await admin.exists(lease)) === 0)
  t.equal(await node.enter('alice', 'b'), true)
  t.equal(await admin.exists(lease), 1)
})

t.test('[LIMIT-1] the leases of sockets that Redis has forgotten are taken again', async (t) => {
  const keys = newKeys()
  const node = openAdmission(t, redis.url, keys, { leaseMs: 2000, renewMs: 100 })
  for (const id of ['a', 'b']) await node.enter('alice', id)
  const admin = openAdmin(t)
  await admin.del(keys.sockets('alice'))
  await eventually(async () => (await admin.zcard(keys.sockets('alice'))) === 2)
  t.ok((await admin.pttl(keys.sockets('alice'))) > 0, 'and the key expires with them')
})

t.test('[LIMIT-1] a node that drains gives all its shares back and renews none', async (t) => {
  const keys = newKeys()
  const drained = openAdmission(t, redis.url, keys, { leaseMs: 2000, renewMs: 50 })
  for (const sub of ['alice', 'bob']) for (const id of ['a', 'b', 'c', 'd', 'e']) await drained.enter(sub, `${sub}-${id}`)
  const other = openAdmission(t, redis.url, keys)
  t.equal(await other.enter('alice', 'a'), false)
  await drained.leaveAll()
  for (const id of ['a', 'b', 'c', 'd', 'e']) t.equal(await other.enter('alice', id), true)
  await drained.leave('alice', 'alice-a')
  t.equal(await other.enter('alice', 'f'), false, 'nothing is given back twice')
  const admin = openAdmin(t)
  t.equal(await admin.exists(keys.sockets('bob')), 0)
  const leases = async () => (await admin.keys(`${keys.node('')}*`)).length
  t.equal(await leases(), 1, 'also its own lease')
  await other.leaveAll()
  t.equal(await leases(), 0)
})

t.test('[LIMIT-1] while Redis cannot be reached nobody is admitted, and whoever leaves is not held up by an error', async (t) => {
  const down = await startTestRedis(t)
  const node = openAdmission(t, down.url, newKeys())
  t.equal(await node.enter('alice', 'a'), true)
  await down.kill()
  await t.rejects(node.enter('alice', 'b'), { name: 'RuncastError', code: 'overloaded' })
  await node.leave('alice', 'a')
  await node.leaveAll()
})

t.test('[REV-3] a node whose subscription hears nothing knows it within a second too', async (t) => {
  const keys = newKeys()
  const proxy = await startRedisProxy(t, redis.url)
  const deaf = openRevocations(t, redis.url, keys, proxy.url)
  const other = openRevocations(t, redis.url, keys)
  await Promise.all([deaf.revocations.ready(), other.revocations.ready()])
  const admin = openAdmin(t)
  await eventually(async () => (await admin.pubsub('NUMSUB', keys.revoked()))[1] === 2)
  proxy.deafen()
  for (const jti of ['a', 'b']) {
    await other.revocations.revoke({ jti, until: soon() })
    await eventually(() => deaf.revocations.isRevoked(identity({ jti })), SECOND)
  }
  t.same(deaf.faults, [])
})

t.test('[REV-3] a node that has lost its subscription knows it when it is there again, and is told live from then on', async (t) => {
  const keys = newKeys()
  const [one, other] = [openRevocations(t, redis.url, keys), openRevocations(t, redis.url, keys)]
  await Promise.all([one.revocations.ready(), other.revocations.ready()])
  const admin = openAdmin(t)
  const subscribers = async () => (await admin.pubsub('NUMSUB', keys.revoked()))[1]
  await eventually(async () => (await subscribers()) === 2)
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await one.revocations.revoke({ jti: 'a', until: soon() })
  await eventually(() => other.revocations.isRevoked(identity({ jti: 'a' })), SECOND)
  await eventually(async () => (await subscribers()) === 2)
  await one.revocations.revoke({ jti: 'b', until: soon() })
  await eventually(() => other.revocations.isRevoked(identity({ jti: 'b' })), SECOND)
})

t.test('[REV-3] before a node knows what was revoked it cannot tell; what Redis loses a node writes back', async (t) => {
  const down = await startTestRedis(t)
  const keys = newKeys()
  const node = openRevocations(t, down.url, keys)
  await node.revocations.revoke({ jti: 'a', until: soon() })
  await openAdmin(t, down.url).flushall()
  await node.revocations.revoke({ jti: 'b', until: soon() })
  const blank = openRevocations(t, down.url, keys)
  await blank.revocations.ready()
  await eventually(() => ['a', 'b'].every((jti) => blank.revocations.isRevoked(identity({ jti }))))
  await down.kill()
  const late = openRevocations(t, down.url, keys)
  await t.rejects(late.revocations.ready(), { name: 'RuncastError', code: 'overloaded' })
  await t.rejects(late.revocations.revoke({ jti: 'c', until: soon() }), { name: 'RuncastError', code: 'overloaded' })
  t.ok(node.revocations.isRevoked(identity({ jti: 'a' })), 'who knew it goes on')
  await down.restart()
  await eventually(() => late.revocations.ready().then(() => true))
  t.ok(late.revocations.isRevoked(identity({ jti: 'b' })))
})

t.test('[REV-6] an undone revocation is undone on all nodes, and no store that lacks the undoing brings it back', async (t) => {
  const failing = await startTestRedis(t)
  const keys = newKeys()
  const admin = openAdmin(t, failing.url)
  const [one, other] = [openRevocations(t, failing.url, keys), openRevocations(t, failing.url, keys)]
  const isRevoked = ({ revocations }: typeof one) => revocations.isRevoked(identity())
  await Promise.all([one.revocations.ready(), other.revocations.ready()])
  t.equal(await one.revocations.undo('sub:alice'), false, 'there is nothing to undo')
  await one.revocations.revoke({ sub: 'alice', before: Date.now(), until: soon() })
  const [listed] = one.revocations.list()
  t.ok(listed && Math.abs(listed.revokedAt - Date.now()) < 60_000, 'it says when right away')
  const before = await Promise.all([keys.revocations(), keys.revocationEnds(), keys.revocationMarks()].map((key) => admin.dumpBuffer(key)))
  await eventually(() => isRevoked(other), SECOND)
  t.equal(await other.revocations.undo('sub:alice'), true)
  t.notOk(isRevoked(other), 'at once where it was asked for')
  await eventually(() => !isRevoked(one), SECOND)
  t.equal(await one.revocations.undo('sub:alice'), false)
  t.same(one.revocations.list(), [])

  // A replica that has not heard of the undoing takes over.
  await admin.flushall()
  for (const [i, key] of [keys.revocations(), keys.revocationEnds(), keys.revocationMarks()].entries())
    await admin.restore(key, 0, before[i] ?? Buffer.alloc(0))
  await admin.set(keys.revocationVersion(), 'of the replica')
  const late = openRevocations(t, failing.url, keys)
  await late.revocations.ready()
  await eventually(() => !isRevoked(late), { timeoutMs: 3000, everyMs: 5 })
  t.notOk(isRevoked(one) || isRevoked(other))

  await late.revocations.revoke({ sub: 'alice', before: Date.now(), until: soon() })
  await eventually(() => [one, other, late].every(isRevoked), SECOND)
  t.match(other.revocations.list(), [{ id: 'sub:alice', before: Number, until: Number, revokedAt: Number }])
  t.same([...one.faults, ...other.faults, ...late.faults], [])
})

t.test('[REV-4] what has expired leaves Redis, and the wider of two revocations of one user holds', async (t) => {
  const keys = newKeys()
  const admin = openAdmin(t)
  const { revocations } = openRevocations(t, redis.url, keys)
  const now = Date.now()
  for (let i = 0; i < 10; i += 1) await revocations.revoke({ jti: `${i}`, until: Date.now() + 700 })
  await revocations.revoke({ sub: 'alice', before: now, until: now + 60_000 })
  await revocations.revoke({ sub: 'alice', before: now - 5000, until: now + 30_000 })
  await eventually(async () => {
    await revocations.revoke({ jti: 'z', until: now + 20_000 })
    return (await admin.hlen(keys.revocations())) === 2
  })
  t.equal(await admin.hget(keys.revocations(), 'sub:alice'), `${now} ${now + 60_000}`)
  t.equal(await admin.zcard(keys.revocationEnds()), 2)
  t.equal(await admin.hlen(keys.revocationMarks()), 2)
  const left = await admin.pttl(keys.revocations())
  t.ok(left > 50_000 && left <= 60_000, 'the keys expire with their last entry')
})

t.test('[REV-4] no job has a key or channel of anything else, whatever its id', async (t) => {
  const keys = newKeys()
  const { base, waiting, admitted } = keys.scheduler()
  const others = [
    ...[keys.revocations(), keys.revocationEnds(), keys.revocationVersion(), keys.revoked(), keys.active(), keys.sweeper()],
    ...[keys.control(), base, waiting, admitted, `${base}turn`],
  ]
  for (const id of ['revocations', 'gate', 'sweeper', 'active', 'control', 'user']) {
    for (const own of [keys.job(id), keys.log(id), keys.live(id)]) t.notOk(others.includes(own), own)
  }
})
