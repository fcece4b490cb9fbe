import { Redis } from 'ioredis'
import t from 'tap'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { startTestRedis } from '../support/redis.js'

const JOBS = 2000
const OWNERS = ['alice', 'bob', 'carol', 'dave']

t.setTimeout(280_000)
t.test('[KEEP-1] 2,000 short jobs leave nothing behind', async (t) => {
  const h = await startHarness(t, {
    redis: await startTestRedis(t),
    processor: async () => ({ metrics_summary: {} }),
    env: { FINAL_TTL_MS: '1000', WORKER_CONCURRENCY: '16' },
  })
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  const hub = h.nodes[0]?.hub
  if (!hub) throw new Error('no node')
  const { store } = hub.parts
  const submit = (owner: string) => hub.jobs.submit({ owner, kind: 'run', input: HORN })
  const keysOfJobs = async () => (await admin.keys('*')).filter((key) => /[0-9a-f]{8}-[0-9a-f]{4}-7|:ended$|:stored:/.test(key))
  const allGone = async () => (await store.active(Number.MAX_SAFE_INTEGER, 1)).length === 0 && (await keysOfJobs()).length === 0
  const gone = { timeoutMs: 120_000, everyMs: 500 }

  for (const owner of OWNERS) await submit(owner)
  await eventually(allGone, gone)
  // The queue's mark of its last look for stalled jobs comes and goes.
  const keysThatStay = async () => (await admin.keys('*')).filter((key) => !key.endsWith(':stalled-check')).toSorted()
  const before = await keysThatStay()

  for (let i = 0; i < JOBS; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => submit(OWNERS[(i + k) % OWNERS.length] ?? '')))
  await eventually(allGone, gone)
  t.same(await keysThatStay(), before)

  const keys = new RedisKeys(h.config.REDIS_PREFIX)
  const events = await admin.xlen(`${keys.queues()}:run:events`)
  t.ok(events <= 1200, `the queue's own events: ${events}`)
  for (const owner of OWNERS) t.same(await hub.parts.feeds.read(owner).then(({ active }) => active), [], owner)

  // Nobody has listed anything: the next submits take out of the index what has expired.
  const lives = 20
  for (let i = 0; i < lives; i += 1) await submit('alice')
  const index = await admin.zcard(keys.owned('alice', 'run'))
  t.ok(index <= 2 * lives, `of ${JOBS / OWNERS.length + lives} in the index: ${index}`)
  t.same(h.faults, [])
})
