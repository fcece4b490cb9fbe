import { randomBytes } from 'node:crypto'
import { signToken } from '../src/cli/token.js'
import { Kinds } from '../src/core/kind.js'
import { runEvents } from '../src/core/run-events.js'
import { startRedisServer } from '../src/embedded/redis-server.js'
import { BUILT_IN_KINDS } from '../src/kinds/index.js'
import { DEFAULT_BROKER_LIMITS } from '../src/storage/broker.js'
import { RedisJobStore } from '../src/storage/redis/job-store.js'
import { cpuMicroseconds, startNode } from './node-process.js'
import { table } from './report.js'

const JOBS = Number(process.env.LISTED_JOBS ?? 20_000)
const PAGES = 600
/** Pages before these, so that the code is compiled. */
const FIRST_PAGES = 100
const MAX = { hubMs: 5, redisMs: 2 }
const DAY_MS = 24 * 3600 * 1000

const QUERIES = [
  '',
  'parent=none',
  'tag=rare&parent=none',
  'tag=even&kind=run',
  'tag=even&title=probe',
  'tag=even&title=probe%201',
  'tag=even&parent=p7',
  'tag=odd&parent=p8',
  'status=queued&tag=even',
]

/**
 * `npm run bench:lists`: CPU of a hub and of Redis for one page of a user with 20,000 jobs (`LISTED_JOBS`), for several
 * filters. Exit code 1 if a page takes more than 5 ms of the hub or 2 ms of Redis. Linux only.
 */
async function main(): Promise<void> {
  const redis = await startRedisServer({})
  const settings = { MAX_LISTED_JOBS: String(JOBS), REDIS_URL: redis.url, JWT_SECRET: randomBytes(32).toString('hex'), LOG_LEVEL: 'warn' }
  const limits = { ...DEFAULT_BROKER_LIMITS, maxListed: JOBS }
  const store = new RedisJobStore({ url: redis.url, prefix: 'runcast', limits, kinds: new Kinds(BUILT_IN_KINDS) })
  for (let n = 0; n < JOBS; n += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => add(store, n + i)))
  const hub = await startNode('../src/main.js', { ...settings, SWEEP_INTERVAL_MS: '600000', MAX_REQUESTS_PER_SECOND: '100000' })
  try {
    const rows = [['filter', 'jobs', 'hub ms', 'Redis ms']]
    for (const query of QUERIES) {
      const read = async () => {
        const url = `http://${hub.host}/api/jobs?${query}`
        const answer = await fetch(url, { headers: { authorization: `Bearer ${signToken(settings.JWT_SECRET, 'bench', 3600)}` } })
        return (await answer.json()) as { readonly jobs?: readonly unknown[] }
      }
      for (let i = 0; i < FIRST_PAGES; i += 1) await read()
      const pids = [hub.pid, redis.pid]
      const before = pids.map(cpuMicroseconds)
      let jobs = 0
      for (let i = 0; i < PAGES; i += 1) jobs = (await read()).jobs?.length ?? -1
      const [hubMs = 0, redisMs = 0] = pids.map((pid, i) => (cpuMicroseconds(pid) - (before[i] ?? 0)) / PAGES / 1000)
      rows.push([query || 'none', String(jobs), hubMs.toFixed(2), redisMs.toFixed(2)])
      if (jobs < 0 || hubMs > MAX.hubMs || redisMs > MAX.redisMs) process.exitCode = 1
    }
    process.stdout.write(`A page of a user with ${JOBS} jobs, CPU of each process:\n${table(rows)}`)
  } finally {
    store.close()
    await hub.stop()
    await redis.stop()
  }
}

/** One of ten jobs is no child; one of a thousand is rare. */
async function add(store: RedisJobStore, n: number): Promise<void> {
  const id = `job-${n}`
  const tags = [n % 2 === 0 ? 'even' : 'odd', ...(n % 1000 === 0 ? ['rare'] : [])]
  const record = {
    id,
    kind: 'run',
    owner: 'bench',
    solver: null,
    input: '{"width_mm":25}',
    digest: 'd',
    generation: 'g',
    timeoutMs: DAY_MS,
  }
  const parent = n % 10 === 0 ? null : `p${n % 10}`
  const job = { ...record, parent, created_at: new Date(Date.now() - n * 1000).toISOString() }
  await store.create({ ...job, words: { title: `Probe ${n}`, tags: JSON.stringify(tags) } }, runEvents.status(id, 'queued'))
}

await main()
