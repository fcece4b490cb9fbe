import t from 'tap'
import { createClient } from '../../src/index.js'
import { DEFAULT_BROKER_LIMITS } from '../../src/storage/broker.js'
import { RedisJobStore } from '../../src/storage/redis/job-store.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { entering, newJob } from '../contract/test-job.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { BUILT_IN } from '../support/kinds.js'
import { Stage } from '../support/stage.js'

const stage = new Stage()
const h = await startHarness(t, { processor: stage.processor, env: { WORKER_CONCURRENCY: '16' } })
const store = new RedisJobStore({ url: h.redis.url, prefix: h.redis.prefix, limits: DEFAULT_BROKER_LIMITS, kinds: BUILT_IN })
t.teardown(() => store.close())

async function idsOf(query: string, sub = 'alice', token?: string): Promise<string[]> {
  const { status, body } = await h.call('GET', `/api/jobs?${query}`, { sub, ...(token && { token }) })
  t.equal(status, 200, JSON.stringify(body))
  return body.jobs.map(({ id }: { id: string }) => id)
}

/** Submits a job that no worker computes. */
async function keep(owner: string, id: string, at: string, fields: Parameters<typeof newJob>[0] = {}): Promise<void> {
  const job = newJob({ id, owner, created_at: `2026-03-01T10:00:${at}.000Z`, ...fields })
  await store.create(job, entering(id, 'queued'))
}

t.test('[LIST-1] jobs are found by tag, title, parent, kind and time, and by two of them', async (t) => {
  await keep('ann', 'a1', '01', { words: { title: 'Große Probe 1', tags: '["red","big"]' } })
  await keep('ann', 'a2', '02', { words: { title: 'GROSSE probe 2', tags: '["red"]' }, parent: 'p' })
  await keep('ann', 'a3', '03', { words: { title: 'small', tags: '["big"]' }, kind: 'optimization' })
  await keep('ann', 'a4', '04', { parent: 'p' })
  const all = ['a4', 'a3', 'a2', 'a1']
  const cases: [query: string, ids: string[]][] = [
    ['', all],
    ['tag=red', ['a2', 'a1']],
    ['tag=red&title=gro%C3%9Fe', ['a2', 'a1']],
    ['title=grosse%20PROBE%202', ['a2']],
    ['title=x', []],
    ['parent=p', ['a4', 'a2']],
    ['parent=none', ['a3', 'a1']],
    ['parent=none&tag=big', ['a3', 'a1']],
    ['parent=none&kind=run', ['a1']],
    ['kind=optimization&tag=big', ['a3']],
    ['since=2026-03-01T10:00:02Z&until=2026-03-01T10:00:03.000Z', ['a3', 'a2']],
    ['since=2026-03-01T10:00:02Z&tag=red', ['a2']],
    ['status=completed&tag=red', []],
  ]
  for (const [query, ids] of cases) t.same(await idsOf(query, 'ann'), ids, query)
  t.same(await idsOf('tag=red', 'bob'), [], 'of nobody else')
  const first = (await h.call('GET', '/api/jobs?parent=p&limit=1', { sub: 'ann' })).body
  t.same(first.jobs[0].id, 'a4')
  t.match(first.jobs[0].parent_id, 'p')
  const second = (await h.call('GET', `/api/jobs?parent=p&limit=1&cursor=${first.cursor}`, { sub: 'ann' })).body
  t.match(second, { jobs: [{ id: 'a2' }], cursor: null })
  for (const query of ['since=yesterday', 'until=2026-99-01', 'tag=', 'status=done', 'tags=a'])
    t.match(
      await h.call('GET', `/api/jobs?${query}`),
      { status: 422, body: { detail: [{ path: `/querystring/${query.split('=')[0]}` }] } },
      query,
    )
})

t.test('[LIST-2] status names one status too, and follows the job', async (t) => {
  for (const id of ['ends', 'fails']) await h.call('POST', '/api/v2/runs', { body: { run_id: id, input: HORN, tags: ['x'] } })
  await stage.play('ends')
  await eventually(async () => (await idsOf('status=running&tag=x')).length === 2)
  t.same(await idsOf('status=completed'), [])
  ;(await stage.play('ends')).complete()
  await eventually(async () => (await idsOf('status=completed')).includes('ends'))
  t.same(await idsOf('status=completed&tag=x'), ['ends'])
  t.same(await idsOf('status=active&tag=x'), ['fails'])
  t.same(await idsOf('status=final&tag=x'), ['ends'])
  await h.call('POST', '/api/v2/runs/fails/cancel')
  await eventually(async () => (await idsOf('status=cancelled')).includes('fails'))
  await h.call('POST', '/api/v2/runs/fails/retry')
  await eventually(async () => (await idsOf('status=cancelled')).length === 0)
  await h.call('PATCH', '/api/v2/runs/ends', { body: { tags: ['y'], title: 'Renamed' } })
  t.same(await idsOf('tag=x&status=completed'), [])
  t.same(await idsOf('tag=y&title=ren'), ['ends'])
  const client = createClient({ url: h.nodes[0]?.http ?? '', token: () => h.token('alice') })
  const direct = createClient({ redis: { url: h.redis.url, prefix: h.redis.prefix }, owner: 'alice' })
  t.teardown(() => Promise.all([client.close(), direct.close()]))
  for (const each of [client, direct]) {
    const { jobs } = await each.list({ status: 'completed', tag: 'y', parent: 'none', since: '2026-01-01', title: 'REN' })
    t.match(jobs, [{ id: 'ends', title: 'Renamed', tags: ['y'] }])
  }
})

t.test('[LIST-3] an admin lists the jobs of a user, and nobody else does', async (t) => {
  const admin = h.token('root', { claims: { role: 'admin' } })
  t.same(await idsOf('owner=ann&parent=p', 'root', admin), ['a4', 'a2'])
  t.same(await idsOf('owner=ann', 'ann'), ['a4', 'a3', 'a2', 'a1'])
  t.match(await h.call('GET', '/api/jobs?owner=ann', { sub: 'bob' }), { status: 403, body: { error: 'forbidden' } })
})

t.test('[LIST-4] jobs that an earlier version has listed are found', async (t) => {
  await keep('old', 'o1', '01')
  await keep('old', 'o2', '02', { parent: 'p2' })
  // As v0.1.0 leaves it: only the list by kind.
  const redis = h.nodes[0]?.hub.parts.broker.commands
  const keys = (await redis?.keys(`${h.redis.prefix}:user:{old}:by:*`)) ?? []
  t.ok(keys.length > 2)
  await redis?.del(...keys)
  t.same(await idsOf('parent=none', 'old'), ['o1'])
  t.same(await idsOf('parent=p2', 'old'), ['o2'])
  await keep('old', 'o3', '03')
  await redis?.hdel(`${h.redis.prefix}:user:{old}:by:of`, 'o3')
  await redis?.zrem(`${h.redis.prefix}:user:{old}:by:parent:`, 'o3')
  t.same(await idsOf('parent=none', 'old'), ['o3', 'o1'], 'also one that comes between two lists')
})

t.test('[LIST-5] the oldest jobs above MAX_LISTED_JOBS leave every list', async (t) => {
  const limits = { ...DEFAULT_BROKER_LIMITS, maxListed: 3 }
  const small = new RedisJobStore({ url: h.redis.url, prefix: h.redis.prefix, limits, kinds: BUILT_IN })
  t.teardown(() => small.close())
  for (const n of [1, 2, 3, 4, 5]) {
    const job = newJob({ id: `s${n}`, owner: 'sam', created_at: `2026-03-01T10:00:0${n}.000Z`, words: { tags: '["t"]', title: 'T' } })
    await small.create(job, entering(job.id, 'queued'))
  }
  for (const query of ['', 'tag=t', 'title=t', 'parent=none', 'tag=t&kind=run'])
    t.same(await idsOf(query, 'sam'), ['s5', 's4', 's3'], query)
  await small.forget('sam', 's4')
  t.same(await idsOf('tag=t', 'sam'), ['s5', 's3'])

  const { commands } = h.nodes[0]?.hub.parts.broker ?? {}
  if (!commands) throw new Error('no hub')
  const tag = (n: number, i: number) => `${n}.${i}.`.padEnd(64, 'x')
  for (const n of [1, 2, 3, 4, 5, 6, 7]) {
    const words = { title: `${n}`.padEnd(200, 'ü'), tags: JSON.stringify(Array.from({ length: 16 }, (_, i) => tag(n, i))) }
    await small.create(newJob({ id: `w${n}`.padEnd(128, 'w'), owner: 'wim', words }), entering('w', 'queued'))
  }
  const keys = await commands.keys(`${h.redis.prefix}:user:{wim}:by:*`)
  t.equal(keys.filter((key) => key.includes(':tag:')).length, 3 * 16, 'nor do their tags take memory')
  const sizes = await Promise.all(keys.map((key) => commands.memory('USAGE', key, 'SAMPLES', 0)))
  const listed = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  const places = new RedisKeys(h.redis.prefix)
  const weigh = (id: string) => commands.runcastWeigh(...places.all(id), 1000)
  const longest = 'w7'.padEnd(128, 'w')
  const [, weight] = (await weigh(longest)) ?? ['', 0]
  await commands.hdel(places.job(longest), 'tags', 'title')
  const [, without] = (await weigh(longest)) ?? ['', 0]
  t.ok(3 * (weight - without) > listed * 0.8, `${weight - without} bytes of a job count for its words, which take ${listed / 3}`)
})

t.test('[LIST-1] pages of many jobs in two sets are complete, sparse and dense', async (t) => {
  const count = 520
  const numbers = Array.from({ length: count }, (_, n) => n)
  const tagsOf = (n: number) => ['all', ...(n % 2 === 0 ? ['even'] : []), ...(n % 7 === 0 ? ['sparse'] : [])]
  await Promise.all(
    numbers.map((n) => {
      const created_at = new Date(Date.UTC(2026, 2, 1) + Math.floor(n / 3)).toISOString() // three in one millisecond
      const job = newJob({ id: `m${n}`, owner: 'mia', created_at, words: { title: `T${n}`, tags: JSON.stringify(tagsOf(n)) } })
      return store.create(job, entering(job.id, 'queued'))
    }),
  )
  const cases: [tag: string, query: string][] = [
    ['even', 'tag=even&parent=none'],
    ['sparse', 'tag=sparse&parent=none'],
    ['even', 'tag=even&kind=run&title=t'],
  ]
  for (const [tag, query] of cases) {
    const ids: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await h.call('GET', `/api/jobs?${query}&limit=100${cursor && `&cursor=${cursor}`}`, { sub: 'mia' })
      ids.push(...body.jobs.map(({ id }: { id: string }) => id))
      cursor = body.cursor
    }
    t.same(
      ids.toSorted(),
      numbers
        .filter((n) => tagsOf(n).includes(tag))
        .map((n) => `m${n}`)
        .toSorted(),
      query,
    )
  }
})
