import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { DEFAULT_BROKER_LIMITS } from '../../src/storage/broker.js'
import type { Feeds, IndexChange } from '../../src/storage/feeds.js'
import { RedisBroker } from '../../src/storage/redis/broker.js'
import { RedisFeeds } from '../../src/storage/redis/feeds.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { BUILT_IN } from '../support/kinds.js'
import { MemoryFeeds } from '../support/memory-feeds.js'
import { startTestRedis } from '../support/redis.js'
import { inClusterMode } from './cluster.js'
import { type FeedNodes, feedsContract } from './feeds-suite.js'

const TTL = { activeTtlMs: 600_000, endedTtlMs: 60_000 }

function openNode(t: Test, url: string, prefix: string): Feeds {
  const broker = new RedisBroker({ kinds: BUILT_IN, url, prefix, limits: DEFAULT_BROKER_LIMITS })
  t.teardown(() => broker.close())
  return new RedisFeeds({ commands: broker.commands, subscriber: () => broker.channels, keys: new RedisKeys(prefix), ...TTL })
}

function openRedisFeeds(t: Test, url: string, prefix = `test-${randomUUID()}`): FeedNodes {
  return { feeds: openNode(t, url, prefix), other: openNode(t, url, prefix) }
}

t.test('in memory', async (t) => {
  feedsContract(t, () => {
    const feeds = new MemoryFeeds()
    return { feeds, other: feeds }
  })
})

t.test('on Redis', async (t) => {
  const { url } = await startTestRedis(t)
  feedsContract(t, (t) => openRedisFeeds(t, url))

  t.test('what is stored of a user lives as long as it is looked after', async (t) => {
    const prefix = `test-${randomUUID()}`
    const { feeds } = openRedisFeeds(t, url, prefix)
    const admin = new Redis(url)
    t.teardown(() => admin.disconnect())
    const { active, ended, count } = new RedisKeys(prefix).feed('alice')
    await feeds.add('alice', 'a')
    for (const key of [active, count]) await admin.pexpire(key, 1000)
    await feeds.add('alice', 'a')
    for (const key of [active, count]) t.ok((await admin.pttl(key)) > TTL.activeTtlMs - 5000, key)
    await feeds.remove('alice', 'a')
    const left = await admin.pttl(ended)
    t.ok(left > TTL.endedTtlMs - 5000 && left <= TTL.endedTtlMs)
  })

  t.test('[PROC-5] a count that was lost begins another generation', async (t) => {
    const prefix = `test-${randomUUID()}`
    const { feeds } = openRedisFeeds(t, url, prefix)
    const admin = new Redis(url)
    t.teardown(() => admin.disconnect())
    await feeds.add('alice', 'a')
    const { generation } = await feeds.read('alice')
    await admin.del(new RedisKeys(prefix).feed('alice').count)
    await feeds.add('alice', 'b')
    const after = await feeds.read('alice')
    t.not(after.generation, generation)
    t.match(after, { seq: 1, active: ['b', 'a'] })
  })

  t.test('[PROC-5] connections that were killed: a gap is told, and then every index change comes again', async (t) => {
    const { feeds, other } = openRedisFeeds(t, url)
    const [heard, gaps]: [IndexChange[], string[]] = [[], []]
    other.listen({ changed: (announcement) => heard.push(announcement), gap: (owner) => gaps.push(owner) })
    await other.subscribe('alice')
    await feeds.add('alice', 'before')
    await eventually(() => heard.length === 1)
    // The first connection is one, too, and may be told of after what it brought.
    await eventually(() => gaps.length === 1)
    const admin = new Redis(url)
    t.teardown(() => admin.disconnect())
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await eventually(() => gaps.length === 2)
    await feeds.add('alice', 'after')
    await eventually(() => heard.length === 2)
    t.same(new Set(gaps), new Set(['alice']))
  })

  t.test('what is no announcement on the channel is a gap, not a fault', async (t) => {
    const prefix = `test-${randomUUID()}`
    const { other } = openRedisFeeds(t, url, prefix)
    const gaps: string[] = []
    other.listen({ changed: () => t.fail('nothing was announced'), gap: (owner) => gaps.push(owner) })
    await other.subscribe('alice')
    await other.subscribe('bob')
    const before = gaps.length
    const admin = new Redis(url)
    t.teardown(() => admin.disconnect())
    for (const text of ['', 'rubbish', 'g x id', 'g 1']) await admin.publish(new RedisKeys(prefix).feed('alice').channel, text)
    await eventually(() => gaps.length >= before + 4)
  })
})

t.test('on Redis in cluster mode, where a script may only touch one slot', async (t) => {
  const { url } = await startTestRedis(t, ['--cluster-enabled', 'yes'])
  await inClusterMode(url)
  feedsContract(t, (t) => openRedisFeeds(t, url))
})
