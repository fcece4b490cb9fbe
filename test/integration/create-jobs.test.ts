import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { createJobs, defineKind, type JobMessage, type JobStatusPage, type Jobs, type JobsOptions, type Refusal } from '../../src/index.js'
import { exampleOf, program, runProgram } from '../support/documents.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { PlayedBenchmark } from '../support/played-benchmark.js'
import { startTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { assertComplete, assertShapes, entriesOf } from '../support/wire.js'

const INPUT = { ...HORN, material: 'ti-6al-4v', profile: 'uniform' } as const

function jobsOf(t: Test, harness: Harness, options: Partial<JobsOptions> = {}): Jobs {
  const jobs = createJobs({ redisUrl: harness.redis.url, redisPrefix: harness.redis.prefix, owner: 'alice', ...options })
  t.teardown(() => jobs.close())
  return jobs
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const told: T[] = []
  for await (const message of messages) told.push(message)
  return told
}

t.test('a program enqueues, reads and watches: a snapshot, each message once, the end', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const jobs = jobsOf(t, h)
  const { process_id: id, ...queued } = await jobs.submit('run', INPUT)
  t.match(queued, { process_type: 'solver', status: /queued|running/, owner: 'alice', final: null })
  const client = await h.connect(id)
  const told: JobMessage<'run'>[] = []
  const watching = (async () => {
    for await (const message of jobs.watch<'run'>(id)) told.push(message)
  })()
  await eventually(() => told.length > 0)
  const { job, complete } = await stage.play(id)
  for (let i = 1; i <= 50; i += 1) job.metric(`m${i}`, i, 'Hz')
  await job.flush()
  complete({ a: 1 })
  await watching
  assertShapes(t, told)
  assertComplete(t, told)
  await client.next('completed')
  const live = entriesOf(told)
  t.same(
    live,
    entriesOf(client.messages).filter(({ seq }) => live.some((entry) => entry.seq === seq)),
    'as over a socket',
  )
  t.equal(told.filter(({ type }) => type === 'metric_update').length, 50)
  t.match(await jobs.read(id), { status: 'completed', owner: 'alice', final: { type: 'process_completed', result: { a: 1 } } })
  t.same(
    (await all(jobs.watch(id))).map(({ type }) => type).filter((type) => type !== 'metric_update'),
    ['status', 'completed'],
    'a job that has ended is told at once, to its end',
  )
  t.same(h.faults, [])
})

t.test('what a program does wrong is a refusal', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const jobs = jobsOf(t, h)
  const nobody = jobsOf(t, h, { owner: '' })
  const refusal = (code: Refusal['code'], detail: object = {}) => ({ name: 'RuncastError', code, ...detail })
  await jobs.submit('run', INPUT, { id: 'mine' })
  t.equal((await jobs.submit('run', INPUT, { id: 'mine' })).process_id, 'mine', 'again is no other job')
  await t.rejects(jobs.submit('run', { ...INPUT, width_mm: 26 }, { id: 'mine' }), refusal('other_input'))
  await t.rejects(jobs.submit('run', INPUT, { id: 'mine', owner: 'bob' }), refusal('id_taken'))
  await t.rejects(jobs.submit('run', {}), refusal('invalid', { detail: [{ path: '/input/material' }] }))
  await t.rejects(jobs.submit('benchmark', { models: [] }), refusal('invalid'))
  await t.rejects(nobody.submit('run', INPUT), refusal('invalid', { detail: [{ path: '/owner' }] }))
  for (const owner of ['al\ud800ice', 'x'.repeat(257)])
    await t.rejects(jobs.submit('run', INPUT, { owner }), refusal('invalid', { detail: [{ path: '/owner', expected: /well formed/ }] }))
  await t.rejects(jobs.submit('run', { ...INPUT, width_mm: Number.NaN }), refusal('invalid', { detail: [{ path: '/input/width_mm' }] }))
  await t.rejects(jobs.read('\ud800'), refusal('not_found'))
  await t.rejects(jobs.read('none'), refusal('not_found'))
  await t.rejects(jobs.cancel('none'), refusal('not_found'))
  await t.rejects(all(jobs.watch('none')), refusal('not_found'))
  await stage.play('mine')
  t.equal(await jobs.cancel('mine'), 'cancelling')
  t.equal((await all(jobs.watch('mine'))).at(-1)?.type, 'cancelled')
  await t.rejects(jobs.cancel('mine'), refusal('already_final'))
  for (const redisUrl of ['', 'http://127.0.0.1'])
    t.throws(() => createJobs({ redisUrl }), refusal('invalid', { detail: [{ path: '/redisUrl' }] }))
  t.throws(() => createJobs({ redisUrl: h.redis.url, redisPrefix: 'a b' }), refusal('invalid', { detail: [{ path: '/redisPrefix' }] }))
})

t.test('a program lists the jobs of a user page by page, and retries what was cancelled', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h)
  const nobody = jobsOf(t, h, { owner: '' })
  const ids = ['first', 'second', 'third']
  for (const id of ids) await jobs.submit('run', INPUT, { id })
  await jobs.submit('benchmark', { models: ['local/ngram'] }, { id: 'bench' })
  await jobs.submit('run', INPUT, { id: 'of-bob', owner: 'bob' })
  const idsOf = ({ jobs }: JobStatusPage) => jobs.map(({ process_id }) => process_id)
  const page = await jobs.list({ limit: 3 })
  t.same(idsOf(page), ['bench', 'third', 'second'])
  t.match(page.jobs[0], { process_type: 'benchmark', status: 'queued', owner: 'alice', final: null })
  const rest = await jobs.list({ limit: 3, cursor: page.cursor ?? '' })
  t.match([idsOf(rest), rest.cursor], [['first'], null])
  t.same(idsOf(await jobs.list({ kind: 'benchmark' })), ['bench'])
  t.same(idsOf(await nobody.list({ owner: 'bob' })), ['of-bob'])

  await t.rejects(jobs.retry('first'), { code: 'not_final' })
  t.equal(await jobs.cancel('first'), 'cancelled')
  t.same(idsOf(await jobs.list({ status: 'final' })), ['first'])
  t.equal(await jobs.retry('first'), 'queued')
  t.match(await jobs.read('first'), { status: 'queued', final: null })
  t.same(idsOf(await jobs.list({ status: 'final' })), [])

  const invalid = (path: string) => ({ name: 'RuncastError', code: 'invalid', issues: [{ path }] })
  await t.rejects(jobs.retry('none'), { code: 'not_found' })
  await t.rejects(nobody.list(), invalid('/owner'))
  await t.rejects(jobs.list({ kind: 'nope' }), invalid('/kind'))
  await t.rejects(jobs.list({ limit: 201 }), invalid('/limit'))
  await t.rejects(jobs.list({ cursor: 'x' }), invalid('/cursor'))
  await t.rejects(jobs.list({ user: 'bob' } as object), invalid('/user'))
  await jobs.close()
  await t.rejects(jobs.list(), { code: 'going_away' })
})

t.test('[KIND-4] the timeout of a kind may be a setting of its own', async (t) => {
  const read = (text: string) => Number(text)
  const paced = defineKind({
    name: 'paced',
    dialect: 'process',
    input: { type: 'object', properties: {} },
    timeoutS: { setting: 'PACED_TIMEOUT_S' },
    settings: { PACED_TIMEOUT_S: { about: 'Timeout of a paced job.', fallback: '60', read } },
    run: async () => ({}),
  })
  const h = await startHarness(t, { processor: null })
  for (const [id, settings, timeoutMs] of [
    ['usual', {}, 60_000],
    ['own', { PACED_TIMEOUT_S: 7 }, 7000],
  ] as const) {
    const jobs = jobsOf(t, h, { settings })
    await jobs.submit(paced, {}, { id })
    t.match(await h.nodes[0]?.hub.parts.broker.read(id), { state: { timeoutMs } })
  }
  t.throws(() => jobsOf(t, h, { settings: { PACED_TIMEOUT: 7 } }), {
    name: 'RuncastError',
    issues: [{ path: '/settings/PACED_TIMEOUT' }],
  })
})

t.test('an option that there is not is refused: from JavaScript it would have no effect', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h)
  const unknown = (...paths: string[]) => ({ name: 'RuncastError', code: 'invalid', detail: paths.map((path) => ({ path })) })
  const given = { delay: 60_000, urgency: 1 } as object
  await t.rejects(jobs.submit('run', INPUT, given), unknown('/delay', '/urgency'))
  await t.rejects(jobs.submit('run', INPUT, given), {
    message: 'unknown option delay, urgency: expected one of id, owner, solver, timeoutS',
  })
  t.same((await h.call('GET', '/api/processes')).body.processes, [], 'nothing was submitted')
  await t.rejects(all(jobs.watch('any', { from: 0 } as object)), unknown('/from'))
  const options = { redisUrl: h.redis.url, prefix: 'a' } as JobsOptions
  t.throws(() => createJobs(options), unknown('/prefix'))
  t.throws(() => createJobs({ redisUrl: h.redis.url, settings: { FINAL_TTL: 1 } }), unknown('/settings/FINAL_TTL'))
})

t.test('[POS-4] a watch goes on from a position, through an earlier end of the same job, and ends with its own', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h)
  const job = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await job.start()
  await job.step()
  const { epoch, seq } = await jobs.read(job.id)
  await job.step()
  await job.fail()
  await job.retry()
  await job.start()
  const told: JobMessage<'benchmark'>[] = []
  const watching = (async () => {
    for await (const message of jobs.watch<'benchmark'>(job.id, { after: { epoch, seq } })) told.push(message)
  })()
  await eventually(() => told.at(-1)?.type === 'process_started')
  await job.step()
  await job.complete()
  await watching
  t.match(told[0], { type: 'subscribed', recovered: true })
  const persisted = told.slice(1).filter(({ type }) => type !== 'process_progress')
  t.same(
    persisted.map(({ type }) => type),
    ['process_result', 'process_failed', 'process_queued', 'process_started', 'process_result', 'process_completed'],
  )
  const last = await jobs.read(job.id)
  t.same(
    (await all(jobs.watch(job.id, { after: { epoch: last.epoch, seq: last.seq } }))).map(({ type }) => type),
    ['subscribed'],
    'who had everything gets no more than the state',
  )
})

t.test('[POS-4] more than leaves at once, with the end of an earlier round in it: the watch ends with the last one', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h)
  const job = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await job.start()
  const { epoch, seq } = await jobs.read(job.id)
  await job.step()
  await job.fail()
  await job.retry()
  await job.start()
  for (let i = 0; i < 600; i += 1) await job.step()
  await job.complete()
  const told = await all(jobs.watch<'benchmark'>(job.id, { after: { epoch, seq } }))
  t.equal(told.at(-1)?.type, 'process_completed')
  t.equal(told.filter(({ type }) => type === 'process_result').length, 601)
  t.equal(told.filter(({ type }) => type === 'process_failed').length, 1)
})

t.test('a watch is left by break, by its signal, and by close', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const jobs = jobsOf(t, h)
  const { process_id: id } = await jobs.submit('run', INPUT)
  await stage.play(id)
  for await (const { type } of jobs.watch(id)) {
    t.equal(type, 'status')
    break
  }
  const stop = new AbortController()
  const stopped = all(jobs.watch(id, { signal: stop.signal }))
  const closed = all(jobs.watch(id))
  await eventually(async () => (await jobs.read(id)).status === 'running')
  stop.abort(new Error('enough'))
  await t.rejects(stopped, { message: 'enough' })
  await t.rejects(all(jobs.watch(id, { signal: stop.signal })), { message: 'enough' })
  const closing = jobs.close()
  await t.rejects(closed, { code: 'going_away' })
  await closing
  await jobs.close()
  await t.rejects(jobs.submit('run', INPUT), { code: 'going_away' })
  await t.rejects(all(jobs.watch(id)), { code: 'going_away' })
})

t.test('[SLOW-2] [SLOW-4] a reader that does not read costs bounded memory, and then gets a snapshot and the end', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h, { settings: { MAX_OUTBOX_BYTES: 65_536, MAX_MISSED_ENTRIES: 10 } })
  const job = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await job.start()
  const messages = jobs.watch(job.id)
  t.match((await messages.next()).value, { type: 'subscribed', recovered: false })
  for (let i = 0; i < 1500; i += 1) await job.step()
  await job.complete()
  await eventually(async () => (await jobs.read(job.id)).final)
  const rest = await all(messages)
  t.ok(rest.length < 1000, `${rest.length} of 3000 messages`)
  const resync = rest.findIndex((message) => 'resync' in message)
  t.match(rest[resync], { type: 'subscribed', resync: true, recovered: false, process: { status: 'completed' } })
  t.equal(rest.at(-1)?.type, 'process_completed')
  t.equal(rest.filter(({ type }) => type === 'process_completed').length, 1)
})

t.test('[SLOW-1] a slow reader gets the newest progress only', async (t) => {
  const h = await startHarness(t, { processor: null })
  const jobs = jobsOf(t, h)
  const job = await PlayedBenchmark.submit(h.nodes[0]?.hub)
  await job.start()
  const messages = jobs.watch(job.id)
  await messages.next()
  for (let i = 0; i < 100; i += 1) await job.step()
  await job.complete()
  await eventually(async () => (await jobs.read(job.id)).final)
  const rest = await all(messages)
  t.equal(rest.filter(({ type }) => type === 'process_result').length, 100)
  t.ok(rest.filter(({ type }) => type === 'process_progress').length < 20)
})

t.test('the documented program runs, and exits by itself', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t) })
  const ran = runProgram(exampleOf(t, 'docs/reference/library.md', "jobs.submit('run', input)"), { REDIS_URL: h.redis.url })
  t.equal(await ran.code, 0, ran.output)
  t.match(ran.output, /metric_update[\s\S]*completed[\s\S]*natural_frequency_hz/)
})

t.test('a program whose Redis cannot be reached is refused, and exits by itself', async (t) => {
  const lines = [
    "import { createJobs } from 'runcast'",
    "const jobs = createJobs({ redisUrl: 'redis://127.0.0.1:1', owner: 'a' })",
    'const told = (error) => console.log(error.name, error.code)',
    "await jobs.submit('run', {}).catch(told)",
    "await jobs.read('some').catch(told)",
    "await jobs.watch('some').next().catch(told)",
    'await jobs.close()',
  ]
  const ran = runProgram(program(t, lines.join('\n')))
  t.equal(await ran.code, 0, ran.output)
  t.equal(ran.output, 'RuncastError invalid\nRuncastError overloaded\nRuncastError overloaded\n')
})

t.test('[STATE-7] a processor of a real worker enqueues another job and watches it to its end', async (t) => {
  let processor: RunProcessor = async () => ({ metrics_summary: {} })
  const h = await startHarness(t, { redis: await startTestRedis(t), processor: (input, job) => processor(input, job) })
  process.env.REDIS_URL = h.redis.url
  // What the author of a worker writes: the documented module.
  const module = (await import(pathToFileURL(exampleOf(t, 'docs/guide/define-a-kind.md', 'export async function')).href)) as {
    thicknesses: RunProcessor
    jobs: Jobs
  }
  t.teardown(() => module.jobs.close())
  const seen: string[] = []
  processor = async (input, job) => {
    seen.push(job.id)
    if (job.id !== 'parent') {
      job.metric('natural_frequency_hz', 20_000 + input.thickness_mm, 'Hz')
      return { metrics_summary: { natural_frequency_hz: 20_000 + input.thickness_mm } }
    }
    return module.thicknesses(input, job)
  }
  const jobs = jobsOf(t, h)
  await jobs.submit('run', INPUT, { id: 'parent', owner: 'carol' })
  t.equal((await all(jobs.watch('parent'))).at(-1)?.type, 'completed')
  t.match(await jobs.read('parent'), { final: { result: { half_hz: 20_012.5 } } })
  t.match(await jobs.read('parent.half'), { owner: 'carol', status: 'completed' })
  t.same(seen, ['parent', 'parent.half'])
  t.same(h.faults, [])
})

t.test('close ends the calls that are under way', async (t) => {
  const h = await startHarness(t, { processor: null })
  const calls: readonly ((jobs: Jobs) => Promise<unknown>)[] = [
    (jobs) => jobs.submit('run', INPUT),
    (jobs) => jobs.read('a'),
    (jobs) => jobs.list(),
    (jobs) => jobs.cancel('a'),
    (jobs) => jobs.retry('a'),
  ]
  for (const call of calls) {
    const jobs = jobsOf(t, h)
    const called = call(jobs)
    await Promise.all([t.rejects(called, { name: 'RuncastError', code: 'going_away' }), jobs.close()])
  }
})
