import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, connect as openTcp, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import { WebSocket } from 'ws'
import { signToken } from '../src/cli/token.js'
import type { WebSocketClass } from '../src/client/hub-socket.js'
import { type JobWatch, watchJob } from '../src/client/watch-job.js'
import type { Bucket } from '../src/core/series.js'
import { startRedisServer } from '../src/embedded/redis-server.js'
import { startNode } from './node-process.js'
import { inputOf, type Load, valueAt } from './series-load.js'

/**
 * `npm run bench:series`: a job reports a million points at 50,000 a second. One viewer is there from the start, one
 * loses its hub by `kill -9` in between, one reads at 1 Mbit/s, and one comes after the end. All must hold the same
 * exact buckets as Redis. Then a job reports 64 metrics at once. Exit code 1 if a bound is exceeded.
 */
const LARGE: Load = { metrics: 1, points: 1_000_000, rate: 50_000 }
const MANY: Load = { metrics: 64, points: 20_000, rate: 2000 }
const SLOW_BYTES_PER_S = 125_000
const BOUNDS = { buckets: 2000, lateMs: 300, redisBytes: 200_000, seriesBytes: 1_048_576, hubGrowthBytes: 64 * 1024 * 1024 }
const WAIT_MS = 120_000

const secret = randomBytes(32).toString('hex')
const token = signToken(secret, 'bench', 3600)

async function main(): Promise<void> {
  const redis = await startRedisServer({})
  const env = { REDIS_URL: redis.url, JWT_SECRET: secret, LOG_LEVEL: 'warn', MAX_UPGRADES_PER_SECOND: '1000' }
  const [hub, doomed] = await Promise.all([startNode('../src/main.js', env), startNode('../src/main.js', env)])
  const worker = fork(fileURLToPath(new URL('./series-worker.js', import.meta.url)), { env, execArgv: [] })
  const admin = new Redis(redis.url)
  try {
    await large(hub, doomed, admin)
    await many(hub, admin)
  } finally {
    admin.disconnect()
    worker.kill('SIGKILL')
    await Promise.all([hub.stop(), doomed.stop()])
    await redis.stop()
  }
}

interface Hub {
  readonly host: string
  readonly pid: number
}

async function large(hub: Hub, doomed: Hub, admin: Redis): Promise<void> {
  const id = await submit(hub, LARGE)
  const [moving, slow] = [await startProxy(doomed.host), await startProxy(hub.host, SLOW_BYTES_PER_S)]
  const viewers = { 'from the start': watch(hub.host, id), 'hub killed': watch(moving.host, id), '1 Mbit/s': watch(slow.host, id) }
  const [first] = Object.values(viewers) as [JobWatch]
  await until(first, () => pointsOf(first) > 0)
  const atStart = residentBytes(hub.pid)
  let most = atStart
  const sampling = setInterval(() => {
    most = Math.max(most, residentBytes(hub.pid))
  }, 200)
  await until(first, () => pointsOf(first) > LARGE.points / 2)
  process.kill(doomed.pid, 'SIGKILL')
  moving.moveTo(hub.host)
  const { final } = await first.finished()
  clearInterval(sampling)
  say(`${LARGE.points} points in ${seconds(final)} s`)
  const expected = expectedBuckets(LARGE.points, bucketsOf(first, 'm0').length === 0 ? 1 : kOf(first, 'm0'))

  const startedAt = performance.now()
  const late = watch(hub.host, id)
  await until(late, () => pointsOf(late) === LARGE.points)
  const lateMs = performance.now() - startedAt
  check('a late viewer has the curve', lateMs, BOUNDS.lateMs, 'ms')
  check('buckets', bucketsOf(late, 'm0').length, BOUNDS.buckets, '')
  for (const [name, viewer] of Object.entries({ ...viewers, late })) {
    await until(viewer, () => pointsOf(viewer) === LARGE.points)
    verify(`${name}: the buckets of the raw points`, isDeepStrictEqual(bucketsOf(viewer, 'm0'), expected))
    viewer.close()
  }
  check('Redis holds of the job', await memoryOf(admin, id), BOUNDS.redisBytes, 'bytes')
  check('growth of the hub', most - atStart, BOUNDS.hubGrowthBytes, `bytes, ${(most / 2 ** 20).toFixed(0)} MiB at most`)
  moving.close()
  slow.close()
}

async function many(hub: Hub, admin: Redis): Promise<void> {
  const id = await submit(hub, MANY)
  let snapshots = 0
  const slow = await startProxy(hub.host, SLOW_BYTES_PER_S)
  const viewers = { 'in step': watch(hub.host, id), '1 Mbit/s': watch(slow.host, id, () => (snapshots += 1)) }
  const [first] = Object.values(viewers) as [JobWatch]
  const { final } = await first.finished()
  say(`${MANY.metrics} metrics of ${MANY.points} points in ${seconds(final)} s`)
  const stored = await storedCurves(hub, id)
  verify('each metric has a curve', stored.size === MANY.metrics)
  // Curves may differ in points per bucket: one that is small already is not merged for the sake of others.
  const isExact = (buckets: Bucket[]) => isDeepStrictEqual(buckets, expectedBuckets(MANY.points, buckets[0]?.[6] ?? 0))
  verify('exact buckets of each metric', [...stored.values()].every(isExact))
  for (const [name, viewer] of Object.entries(viewers)) {
    await until(viewer, () => [...stored].every(([metric, buckets]) => isDeepStrictEqual(bucketsOf(viewer, metric), buckets)))
    verify(`${name}: the buckets of Redis`, true)
    viewer.close()
  }
  say(`a viewer at 1 Mbit/s got ${snapshots} snapshots`)
  check(
    'the curves in Redis',
    await admin.memory('USAGE', `runcast:{${id}}:series`, 'SAMPLES', 0).then(Number),
    BOUNDS.seriesBytes,
    'bytes',
  )
  slow.close()
}

function watch(host: string, id: string, onSnapshot: () => void = () => {}): JobWatch {
  return watchJob({
    url: `ws://${host}/api/v2/ws/runs/${id}`,
    token: () => token,
    series: true,
    WebSocket: WebSocket as unknown as WebSocketClass,
    onMessage: (message) => 'recovered' in message && onSnapshot(),
  })
}

function pointsOf(viewer: JobWatch): number {
  return viewer.series.get('m0')?.n ?? 0
}

function bucketsOf(viewer: JobWatch, metric: string): readonly Bucket[] {
  return viewer.series.get(metric)?.buckets ?? []
}

function kOf(viewer: JobWatch, metric: string): number {
  return viewer.series.get(metric)?.k ?? 1
}

/** By the definition, from the raw points. */
function expectedBuckets(points: number, k: number): Bucket[] {
  const buckets: Bucket[] = []
  for (let from = 0; from < points; from += k) {
    const last = Math.min(from + k, points) - 1
    let [min, max] = [valueAt(from), valueAt(from)]
    for (let i = from; i <= last; i += 1) [min, max] = [Math.min(min, valueAt(i)), Math.max(max, valueAt(i))]
    buckets.push([from, last, valueAt(from), min, max, valueAt(last), last - from + 1])
  }
  return buckets
}

async function submit({ host }: Hub, load: Load): Promise<string> {
  const answer = await ask(host, 'POST', '/api/v2/runs', { input: inputOf(load) })
  return String(answer.run_id)
}

async function storedCurves({ host }: Hub, id: string): Promise<Map<string, Bucket[]>> {
  const { series } = await ask(host, 'GET', `/api/jobs/${id}/series`)
  const curves = new Map<string, Bucket[]>()
  for (const { metric_name } of series as { metric_name: string }[]) {
    const { buckets } = await ask(host, 'GET', `/api/jobs/${id}/series?metric=${metric_name}`)
    curves.set(metric_name, buckets as Bucket[])
  }
  return curves
}

async function ask(host: string, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
  const answer = await fetch(`http://${host}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`)
  return (await answer.json()) as Record<string, unknown>
}

/** Memory of all keys of a job except those of its last entries. */
async function memoryOf(admin: Redis, id: string): Promise<number> {
  const keys = await admin.keys(`runcast:{${id}}*`)
  const sizes = await Promise.all(keys.map(async (key) => [key, Number(await admin.memory('USAGE', key, 'SAMPLES', 0))] as const))
  say(sizes.map(([key, bytes]) => `${key.slice(key.indexOf('}') + 1) || 'hash'} ${bytes}`).join(', '))
  return sizes.reduce((sum, [, bytes]) => sum + bytes, 0)
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096
}

interface Proxy {
  readonly host: string
  moveTo(host: string): void
  close(): void
}

/** A TCP proxy in front of a hub, which passes on at most this many bytes a second to the client. */
async function startProxy(host: string, bytesPerSecond = Number.POSITIVE_INFINITY): Promise<Proxy> {
  let target = host
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    const [name = '', port = ''] = target.split(':')
    const hub = openTcp({ host: name, port: Number(port) })
    for (const socket of [client, hub]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        hub.destroy()
      })
    }
    client.pipe(hub)
    hub.on('data', (bytes: Buffer) => {
      client.write(bytes)
      if (bytesPerSecond === Number.POSITIVE_INFINITY) return
      hub.pause()
      setTimeout(() => hub.resume(), (1000 * bytes.length) / bytesPerSecond)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  const moveTo = (host: string) => {
    target = host
  }
  return { host: `127.0.0.1:${port}`, moveTo, close }
}

/** Rejects after `WAIT_MS`. */
async function until(viewer: JobWatch, fact: () => boolean): Promise<void> {
  const found = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not after ${WAIT_MS} ms: ${fact}`)), WAIT_MS)
    const look = () => {
      if (!fact()) return
      stop()
      clearTimeout(timer)
      resolve()
    }
    const stop = viewer.subscribe(look)
    look()
  })
  return found
}

function seconds(final: unknown): string {
  const { metrics_summary } = final as { metrics_summary?: { seconds?: number } }
  return metrics_summary?.seconds?.toFixed(1) ?? '?'
}

function check(what: string, value: number, bound: number, unit: string): void {
  say(`${what}: ${Math.round(value)} ${unit} (at most ${bound})`)
  if (value > bound) process.exitCode = 1
}

function verify(what: string, holds: boolean): void {
  say(`${holds ? 'ok' : 'NOT'}  ${what}`)
  if (!holds) process.exitCode = 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
