import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import Type from 'typebox'
import { signToken } from '../../src/cli/token.js'
import {
  createClient,
  createHub,
  createWorker,
  defineKind,
  type HubOptions,
  implement,
  type ListenOptions,
  mountHub,
  type Setting,
  type WorkerOptions,
} from '../../src/index.js'
import { runProgram } from '../support/documents.js'
import { eventually } from '../support/eventually.js'
import { SECRET } from '../support/harness.js'
import { ROOT } from '../support/packed.js'
import { testPort } from '../support/ports.js'
import { sharedTestRedis, startTestRedis } from '../support/redis.js'

function numeric(fallback: string): Setting<number> {
  const read = (text: string) => {
    if (!(Number(text) > 0)) throw new TypeError('a number above 0')
    return Number(text)
  }
  return { about: 'A number.', fallback, read }
}

const hold = defineKind({ name: 'hold', dialect: 'process', input: Type.Object({}, { additionalProperties: false }) })
const tuned = defineKind({
  name: 'tuned',
  dialect: 'process',
  input: Type.Object({}, { additionalProperties: false }),
  timeoutS: { setting: 'TUNED_TIMEOUT_S' },
  concurrency: { setting: 'TUNED_CONCURRENCY' },
  settings: {
    TUNED_TIMEOUT_S: numeric('60'),
    TUNED_CONCURRENCY: numeric('1'),
    TUNED_NAMES: { about: 'Some names.', fallback: '', read: (text: string) => text.split(',') },
    TUNED_FAST: { about: 'Whether it is fast.', fallback: 'yes', read: (text: string) => text },
  },
})
const nowhere = { url: 'redis://127.0.0.1:1' }

t.test('the example: hub, worker and clients; submit, events, result, cancel, retry, list', async (t) => {
  const { url } = await sharedTestRedis()
  const ran = runProgram(join(ROOT, 'examples/one-program/program.js'), { REDIS_URL: url })
  t.equal(await ran.code, 0, ran.output)
  t.match(
    ran.output,
    /^subscribed\n[\s\S]*process_progress\n[\s\S]*process_completed\n\{ counted: 5 \}\ncancelling\ntrue cancelled\nqueued\n\[ 'long', 'completed' \]\n$/,
  )
})

t.test('a worker runs as many jobs as its option says; close works at any time, twice', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  const redis = { url, prefix }
  const running = new Set<string>()
  const holding = implement(hold, {
    run: (_input, job) =>
      new Promise((_, reject) => {
        running.add(job.id)
        job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
      }),
  })
  const worker = createWorker({ redis, work: [holding], concurrency: 3, workerFinishMs: 0 })
  const hub = createHub({ redis, kinds: [hold], auth: { jwtSecret: SECRET }, drainMs: 0, docs: false })
  const client = createClient({ redis, owner: 'alice', kinds: [hold] })
  t.equal(hub.address, null)
  const [address, sameAddress] = await Promise.all([hub.listen({ port: 0 }), hub.listen({ port: 1, host: 'no-host' })])
  t.match(address, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.equal(sameAddress, address, 'the options of the first call count')
  t.equal(await hub.listen(), address, 'once more is the same')
  t.equal((await fetch(`${address}/livez`)).status, 200)
  t.equal((await fetch(`${address}/docs`)).status, 404, 'docs: false')
  for (let i = 0; i < 5; i += 1) await client.submit(hold, {})
  await Promise.all([worker.start(), worker.start()])
  await eventually(() => running.size === 3)
  const { port } = new URL(address)
  const second = createHub({ redis, kinds: [hold], auth: { jwtSecret: SECRET }, drainMs: 0 })
  await t.rejects(second.listen({ port: Number(port) }), { code: 'EADDRINUSE' })
  t.match(await second.listen({ port: 0 }), /^http/, 'may be tried again')
  await Promise.all([second.close(), second.close(), worker.close(), hub.close()])
  await worker.close()
  t.equal(hub.address, null)
  await t.rejects(hub.listen(), { name: 'RuncastError', code: 'going_away' })
  await t.rejects(worker.start(), { code: 'going_away' })
  t.match(await client.list({ status: 'active' }), { jobs: [1, 2, 3, 4, 5].map(() => ({ kind: 'hold', status: 'queued' })) })
  for (const { id } of (await client.list()).jobs) await client.job(id).cancel()
  await client.close()
  const never = createHub({ redis, auth: { jwtSecret: SECRET } })
  const starting = createWorker({ redis, work: [holding] })
  const closed = t.rejects(starting.start(), { code: 'going_away' }, 'closed while it starts')
  await Promise.all([never.close(), starting.close(), closed])
})

t.test('a failed start closes each connection at once', async (t) => {
  const redis = { url: (await startTestRedis(t)).url }
  const admin = new Redis(redis.url)
  t.teardown(() => admin.disconnect())
  const connections = async () =>
    String(await admin.client('LIST'))
      .trim()
      .split('\n').length
  const before = await connections()
  const auth = { jwtPublicKey: '/none.pem' }
  const key = { name: 'RuncastError', code: 'invalid', message: /JWT_PUBLIC_KEY: expected a public key/ }
  await t.rejects(createHub({ redis, auth, logLevel: 'silent' }).listen({ port: 0 }), key)
  await t.rejects(mountHub({ redis, auth, prefix: '/jobs', logLevel: 'silent' }), key)
  const walk = defineKind({ name: 'walk', dialect: 'process', inSteps: true, input: Type.Object({}) })
  const work = [
    implement(hold, { run: async () => ({}) }),
    implement(walk, {
      steps: () => {
        throw new Error('no steps')
      },
    }),
  ]
  await t.rejects(createWorker({ redis, work, logLevel: 'silent' }).start(), { message: 'no steps' })
  const told = defineKind({ name: 'told', dialect: 'run', path: 'told', idField: 'told_id', phases: ['a'], input: Type.Object({}) })
  const missing = { code: 'invalid', message: /program of told .*: command: expected a program that can be executed: no no-such in PATH$/ }
  const absent = implement(told, { program: { command: 'no-such' } })
  await t.rejects(createWorker({ redis, work: [absent], logLevel: 'silent' }).start(), missing)
  const present = createWorker({ redis, work: [implement(told, { program: { command: 'sh' } })], logLevel: 'silent' })
  await present.start()
  await present.close()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  // It would drain for longer than this test may take.
  const hub = createHub({ redis, auth: { jwtSecret: SECRET }, drainMs: 120_000, drainMinMs: 120_000 })
  await t.rejects(hub.listen({ port }), { code: 'EADDRINUSE' })
  await t.rejects(hub.listen({ prot: port } as ListenOptions), { code: 'invalid', issues: [{ path: '/prot' }] })
  await eventually(async () => (await connections()) === before)
})

t.test('a start that waits for Redis ends when it is closed', async (t) => {
  const redis = await startTestRedis(t)
  const prepare = async () => {
    await redis.kill()
    return { run: async () => ({}) }
  }
  const worker = createWorker({ redis: { url: redis.url }, work: [implement(hold, { prepare })], logLevel: 'silent' })
  const started = t.rejects(worker.start(), { code: 'going_away' })
  await redis.server.exited
  await worker.close()
  await started
})

t.test('[KIND-4] the settings of a kind are options in camelCase; metrics have their own port', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  const redis = { url, prefix }
  const running = new Set<string>()
  const seen: unknown[] = []
  const work = implement(tuned, {
    prepare: async ({ config }) => {
      seen.push(...Object.keys(tuned.settings).map((name) => Reflect.get(config, name)))
      const run = (_input: object, job: { readonly id: string; readonly signal: AbortSignal }) =>
        new Promise<never>((_, reject) => {
          running.add(job.id)
          job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
        })
      return { run }
    },
  })
  const settings = { tunedTimeoutS: 1, tunedConcurrency: 2, tunedNames: ['a', 'b'], tunedFast: false }
  const metricsPort = await testPort()
  const hub = createHub({ redis, kinds: [tuned], auth: { jwtSecret: SECRET }, drainMs: 0, settings, metricsPort })
  const worker = createWorker({ redis, work: [work], workerFinishMs: 0, settings, sweepIntervalMs: 100 })
  t.teardown(() => Promise.all([hub.close(), worker.close()]))
  const address = await hub.listen({ port: 0 })
  await worker.start()
  t.same(seen, [1, 2, ['a', 'b'], 'no'])
  const client = createClient({ url: address, token: signToken(SECRET, 'alice', 60) })
  t.teardown(() => client.close())
  const jobs = [await client.submit(tuned, {}), await client.submit(tuned, {})]
  await eventually(() => running.size === 2)
  t.match(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(), /^runcast_/m)
  t.equal((await fetch(`${address}/metrics`)).status, 404)
  for (const job of jobs) await t.rejects(job.result(), { name: 'JobFailed', code: 'timeout' })
  await Promise.all([client.close(), hub.close(), worker.close()])
  await t.rejects(fetch(`http://127.0.0.1:${metricsPort}/metrics`))
})

t.test('a Redis that is away is overloaded; nothing is left running', async (t) => {
  const hub = createHub({ redis: nowhere, auth: { jwtSecret: SECRET }, logLevel: 'silent' })
  const worker = createWorker({ redis: nowhere, work: [implement(hold, { run: async () => ({}) })], logLevel: 'silent' })
  const starts: readonly (() => Promise<unknown>)[] = [() => hub.listen({ port: 0 }), () => worker.start()]
  for (const start of starts)
    await t.rejects(start(), { name: 'RuncastError', code: 'overloaded', message: /127\.0\.0\.1:1 cannot be reached/ })
  await Promise.all([hub.close(), worker.close()])
})

t.test('a hub that cannot start leaves no connection open', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  const connections = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  const before = connections()
  const hub = createHub({ redis: { url, prefix }, auth: { jwtPublicKey: '/nowhere.pem' }, logLevel: 'silent' })
  await t.rejects(hub.listen({ port: 0 }), { code: 'invalid', message: /JWT_PUBLIC_KEY: expected a public key in PEM/ })
  await eventually(() => connections() <= before)
})

t.test('[KIND-6] what is unknown or not valid is refused by its path when it is created', async (t) => {
  const redis = nowhere
  const auth = { jwtSecret: SECRET }
  const work = [implement(hold, { run: async () => ({}) })]
  const other = defineKind({ name: 'hold', dialect: 'process', input: Type.Object({}) })
  const settings = { FINAL_TTL_MS: numeric('1') }
  const greedy = defineKind({ name: 'greedy', dialect: 'process', input: Type.Object({}), settings })
  const invalid = (path: string, expected: RegExp = /./) => ({ name: 'RuncastError', code: 'invalid', issues: [{ path, expected }] })
  const hubs: readonly [object, object][] = [
    [
      { redis, auth: {} },
      invalid('/auth/jwtSecret', /one of auth\.jwtSecret or auth\.jwtPublicKey or auth\.jwksUrl to be set, since redis\.url is/),
    ],
    [{ redis, auth: { jwtSecret: 'short' } }, invalid('/auth/jwtSecret', /^at least 32 characters$/)],
    [{ redis, auth: { jwksUrl: 'https://a' } }, invalid('/auth/audience')],
    [{ redis, auth: { secret: SECRET } }, invalid('/auth/secret', /jwtSecret/)],
    [{ redis, auth, port: 1 }, invalid('/port')],
    [{ redis, auth, workerFinishMs: 1 }, invalid('/workerFinishMs')],
    [{ redis, auth, docs: 'off' }, invalid('/docs', /^true or false$/)],
    [{ redis, auth, allowedOrigins: ['nowhere'] }, invalid('/allowedOrigins')],
    [{ redis, auth, kinds: ['run'] }, invalid('/kinds')],
    [{ redis, auth, kinds: [hold, other] }, invalid('/kinds', /hold is used by another kind/)],
    [{ redis, auth, metricsPort: 70_000 }, invalid('/metricsPort')],
    [{ redis, auth, settings: { tunedTimeoutS: 1 } }, invalid('/settings/tunedTimeoutS')],
    [{ redis, auth, kinds: [tuned], settings: { tunedTimeout: 1 } }, invalid('/settings/tunedTimeout', /tunedTimeoutS/)],
    [{ redis, auth, kinds: [tuned], settings: { tunedTimeoutS: '1' } }, invalid('/settings/tunedTimeoutS', /^a number$/)],
    [{ redis, auth, kinds: [tuned], settings: { tunedTimeoutS: 0 } }, invalid('/settings/tunedTimeoutS', /^a number above 0$/)],
    [{ redis, auth, kinds: [tuned], tunedTimeoutS: 1 }, invalid('/tunedTimeoutS')],
    [{ redis, auth, kinds: [greedy] }, invalid('/finalTtlMs', /^another name for the setting of a kind/)],
  ]
  for (const [options, error] of hubs) t.throws(() => createHub(options as HubOptions), error as Error, JSON.stringify(options))
  const workers: readonly [object, object][] = [
    [{ redis }, invalid('/work')],
    [{ redis, work: [] }, invalid('/work')],
    [{ redis, work: [hold] }, invalid('/work', /a computation for hold/)],
    [{ redis, work: [...work, implement(other, { run: async () => ({}) })] }, invalid('/work', /hold is used by another kind/)],
    [{ redis, work, concurrency: 0 }, invalid('/concurrency')],
    [{ redis, work, metricsPort: 1 }, invalid('/metricsPort')],
    [{ redis, work, drainMs: 1 }, invalid('/drainMs', /concurrency/)],
  ]
  for (const [options, error] of workers) t.throws(() => createWorker(options as WorkerOptions), error as Error, JSON.stringify(options))
})
