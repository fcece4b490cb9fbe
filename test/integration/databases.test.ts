import { Redis } from 'ioredis'
import t from 'tap'
import { checkRedis } from '../../src/app/parts.js'
import { createJobs } from '../../src/index.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { HORN, startHarness } from '../support/harness.js'
import { sharedTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { openTab } from '../support/tab.js'
import { tokenOf } from '../support/tokens.js'

const ID = 'the-same-id'
const INPUT = { ...HORN, material: 'ti-6al-4v', profile: 'uniform' } as const

t.test('two databases of one Redis: a cancel and a revocation in one do not touch the other', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  const [first, second] = await Promise.all(
    [1, 2].map(async (database) => {
      const stage = new Stage()
      const h = await startHarness(t, { redis: { url: `${url}/${database}`, prefix }, processor: stage.processor })
      await h.submit({ id: ID })
      const play = await stage.play(ID)
      return { h, play, client: await h.connect(ID), tab: await openTab(h) }
    }),
  )
  if (!first || !second) throw new Error('there are two')
  const sessions = second.h.nodes[0]?.hub.server.sessions
  t.equal(sessions?.size, 2)
  await first.h.call('POST', `/api/v2/runs/${ID}/cancel`)
  await first.client.next('cancelled')
  const token = tokenOf({ sub: 'root', role: 'admin', exp: Math.ceil(Date.now() / 1000) + 600 })
  // A token of the same second counts as newer than the revocation.
  const body = { sub: 'alice', issued_before: new Date(Date.now() + 2000).toISOString() }
  t.equal((await first.h.call('POST', '/api/revocations', { token, body })).status, 202)
  await Promise.all([first.client.closed, first.tab.closed])
  t.notOk(second.play.job.signal.aborted)
  t.equal(sessions?.size, 2)
  second.play.complete({ answer: 2 })
  t.match(await second.client.next('completed'), { seq: 3, metrics_summary: { answer: 2 } })
  await second.tab.next('process_completed')
  t.same([...first.h.faults, ...second.h.faults], [])
})

t.test('every channel names the database, and those of database 0 are as they were', async (t) => {
  const channels = (url: string) => {
    const keys = new RedisKeys('p', url)
    return [keys.live('j'), keys.feed('alice').channel, keys.control(), keys.probe('n'), keys.revoked()]
  }
  const plain = ['p:{j}:live', 'p:user:{alice}:live', 'p:control', 'p:probe:n', 'p:{revocations}:news']
  for (const url of ['', 'redis://h', 'redis://h/', 'redis://h:1/0', 'rediss://u:w@h/?family=6']) t.same(channels(url), plain, url)
  for (const url of ['redis://h/12', 'rediss://:w%2F3@h:1/12?family=6', 'redis://h?db=12', 'redis://h/12?db=3'])
    t.same(
      channels(url),
      plain.map((name) => `${name}@12`),
      url,
    )
})

t.test('a database that Redis does not have ends the start', async (t) => {
  const { url } = await sharedTestRedis()
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const message = /^Redis at 127\.0\.0\.1:\d+ cannot select database 99 \(REDIS_URL\): ERR DB index is out of range$/
  await t.rejects(checkRedis({ url: `${url}/99` }, log), { message })
  await t.resolves(checkRedis({ url: `${url}/15` }, log))
})

t.test('a program does not go on in database 0 where its own cannot be opened', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  const faults: string[] = []
  const jobs = createJobs({ redisUrl: `${url}/99`, redisPrefix: prefix, owner: 'alice', onFault: (error) => void faults.push(`${error}`) })
  t.teardown(() => jobs.close())
  await t.rejects(jobs.submit('run', INPUT, { id: 'nowhere' }), { code: 'overloaded' })
  t.ok(faults.some((fault) => /DB index is out of range/.test(fault)))
  const admin = new Redis(url)
  t.teardown(() => admin.disconnect())
  t.equal(await admin.exists(new RedisKeys(prefix).job('nowhere')), 0)
})
