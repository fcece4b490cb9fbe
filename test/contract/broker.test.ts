import t from 'tap'
import { sharedTestRedis, startTestRedis } from '../support/redis.js'
import { openMemory, openRedis } from './backend.js'
import { inClusterMode } from './cluster.js'
import { brokerContract } from './suite.js'

t.test('in memory', async (t) => brokerContract(t, openMemory))

t.test('on Redis', async (t) => {
  const { url } = await sharedTestRedis()
  brokerContract(t, (t, limits) => openRedis(t, url, limits))
})

t.test('on Redis in cluster mode, where a script may only touch one slot', async (t) => {
  const { url } = await startTestRedis(t, ['--cluster-enabled', 'yes'])
  await inClusterMode(url)
  brokerContract(t, (t, limits) => openRedis(t, url, limits))
})
