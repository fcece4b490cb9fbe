import { Redis } from 'ioredis'
import t from 'tap'
import { createJobs, type JobMessage } from '../../src/index.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { eventually } from '../support/eventually.js'
import { brief, squares, stubborn, vigil } from '../support/own-kinds.js'
import { MODULES, type OwnHub, startOwnHub, startOwnStack } from '../support/own-stack.js'
import { killProcess } from '../support/worker-process.js'

async function submitScript(stack: OwnHub, script: string) {
  const { status, body } = await stack.call('POST', '/api/v2/stubborns', { stubborn_id: script, input: { script } })
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`)
  return stack.connect(`/api/v2/ws/stubborns/${script}`)
}

const submitVigil = (stack: OwnHub, id: string) =>
  stack.call('POST', '/api/processes', { process_type: 'vigil', process_id: id, input: {} })

async function redisOf<T>(url: string, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url)
  return ask(redis).finally(() => redis.disconnect())
}

t.test('[KIND-4] [CANCEL-1] a thread of a kind that never yields is ended by force, and its worker goes on', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'stubborn', env: { CANCEL_GRACE_MS: '300' } })
  const loop = await submitScript(stack, 'loop')
  await loop.next('progress')
  t.match(await stack.call('POST', '/api/v2/stubborns/loop/cancel'), { status: 202, body: { stubborn_id: 'loop', status: 'cancelling' } })
  t.match(await loop.next('cancelled'), { stubborn_id: 'loop', forced: true, phase: 'working' })
  const { metrics_summary } = await (await submitScript(stack, 'quick')).next('completed')
  t.ok(metrics_summary.thread > 1, 'another thread, in the same process')
  t.match(await stack.call('POST', '/api/v2/stubborns/loop/retry'), { status: 202, body: { status: 'queued' } })
  await loop.next('progress')
  loop.send({ type: 'cancel' })
  t.match(await loop.next('cancel_accepted'), { stubborn_id: 'loop' })
  await loop.next('cancelled')
})

t.test('[KIND-4] the example obeys a cancel', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.example, kinds: 'tour' })
  await stack.call('POST', '/api/v2/tours', { tour_id: 'long', input: { count: 1000, sweeps: 100_000 } })
  const socket = await stack.connect('/api/v2/ws/tours/long')
  await socket.next('progress')
  socket.send({ type: 'cancel' })
  t.notOk((await socket.next('cancelled')).forced)
})

t.test('[KIND-4] [ATTEMPT-1] a crash is tried again as often as the kind says, a refusal of the processor is not', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'stubborn' })
  const exit = await submitScript(stack, 'exit')
  const refuse = await submitScript(stack, 'refuse')
  t.match(await refuse.next('error'), { stubborn_id: 'refuse', code: 'invalid_input', error: 'not this one', attempts: 1 })
  const error = await exit.next('error')
  t.match(error, { stubborn_id: 'exit', code: 'solver_error', error: /exit code 3/, attempts: 2 })
  t.match(
    exit.all('status').filter(({ status }) => status === 'retrying'),
    [{ attempt: 2, max_attempts: 2, error: /exit code 3/ }],
  )
})

t.test('[KIND-4] a result that is no object is a failure, and not tried again', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'shapeless' })
  const tab = await stack.connect('/ws')
  await stack.call('POST', '/api/processes', { process_type: 'shapeless', input: {} })
  t.match(await tab.next('process_failed'), { code: 'solver_error', error: 'The result is not valid: it is not an object', attempts: 1 })
})

t.test('[KIND-4] [TIMEOUT-1] its time is the kind’s own, unless the submit says another', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'brief' })
  const tab = await stack.connect('/ws')
  await stack.call('POST', '/api/processes', { process_type: 'brief', input: {} })
  t.match(await tab.next('process_failed'), { code: 'timeout', error: 'The job exceeded its time limit of 1 s.' })
  await stack.call('POST', '/api/processes', { process_type: 'brief', job_timeout_s: 2, input: {} })
  t.match(await tab.next('process_failed'), { code: 'timeout', error: 'The job exceeded its time limit of 2 s.' })
})

t.test('[KIND-4] [QUOTA-1] a worker takes as many as the kind says, and a user as many as the quota', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'vigil,brief', env: { MAX_ACTIVE_JOBS_PER_USER: '4' } })
  const tab = await stack.connect('/ws')
  for (const id of ['v-1', 'v-2', 'v-3']) await submitVigil(stack, id)
  for (const id of ['b-1', 'b-2'])
    await stack.call('POST', '/api/processes', { process_type: 'brief', process_id: id, job_timeout_s: 600, input: {} })
  const started = () => tab.all('process_started').map(({ process_id }) => process_id)
  await eventually(() => tab.all('process_queued').length === 5 && started().length === 3)
  await tab.silence(500)
  t.same(started().toSorted(), ['b-1', 'v-1', 'v-2'], 'two and one at a time')
  await stack.call('POST', '/api/processes/v-1/cancel')
  await eventually(() => started().includes('v-3'))
  await stack.call('POST', '/api/processes/b-1/cancel')
  await eventually(() => started().includes('b-2'))
})

t.test('[KIND-4] [STATE-9] what a worker that dies has left the sweeper of a hub ends', async (t) => {
  const env = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200' }
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'vigil', env })
  const tab = await stack.connect('/ws')
  await submitVigil(stack, 'orphan')
  await tab.next('process_started')
  await killProcess(stack.worker)
  t.match(await tab.next('process_failed'), { process_id: 'orphan', process_type: 'vigil', code: 'worker_lost', attempts: 1 })
})

t.test('[KIND-8] to a hub that does not know the kind there is no such job, and it leaves it alone', async (t) => {
  // This one sweeps nothing, so the other has the lease.
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'vigil', env: { SWEEP_INTERVAL_MS: '600000' } })
  const bare = await startOwnHub(t, stack, { SWEEP_INTERVAL_MS: '100', DRAIN_MS: '0' })
  await submitVigil(stack, 'foreign')
  const known = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }
  await bare.call('POST', '/api/v2/runs', { run_id: 'known', input: known })
  const ids = (views: { process_id: string }[]) => views.map(({ process_id }) => process_id)
  t.same(ids((await (await bare.connect('/ws')).next('process_list')).processes), ['known'])
  t.same(ids((await bare.call('GET', '/api/processes')).body.processes), ['known'])
  for (const [method, path] of [
    ['GET', ''],
    ['POST', '/cancel'],
    ['POST', '/retry'],
  ] as const)
    t.equal((await bare.call(method, `/api/processes/foreign${path}`)).status, 404)
  const tab = await stack.connect('/ws')
  t.same(ids((await tab.next('process_list')).processes).toSorted(), ['foreign', 'known'])
  // Looked after again and again: it was put at the end of the line each time.
  const looked = () => redisOf(stack.redis.url, (redis) => redis.zscore(new RedisKeys(stack.redis.prefix).active(), 'foreign~1'))
  const before = await looked()
  await eventually(async () => (await looked()) !== before)
  const foreign = async () => (await stack.call('GET', '/api/processes/foreign')).body
  // Its worker may still be starting.
  await eventually(async () => (await foreign()).status === 'running')
  t.match(await foreign(), { status: 'running', attempt: 1 })
})

t.test('[KIND-5] a program submits and watches by the handle, typed by the schema', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'squares,stubborn' })
  const jobs = createJobs({ redisUrl: stack.redis.url, redisPrefix: stack.redis.prefix, owner: 'alice' })
  t.teardown(() => jobs.close())
  const { process_id, process_type } = await jobs.submit(squares, { to: 2 })
  t.equal(process_type, 'squares')
  const told: JobMessage<typeof squares>[] = []
  for await (const message of jobs.watch<typeof squares>(process_id)) told.push(message)
  const last = told.at(-1)
  t.match(last?.type === 'process_completed' && last.result, { sum: 5 })
  const run = await jobs.submit(stubborn, { script: 'quick' })
  const said: JobMessage<typeof stubborn>[] = []
  for await (const message of jobs.watch<typeof stubborn>(run.process_id)) said.push(message)
  const end = said.at(-1)
  t.match(end?.type === 'completed' && end.metrics_summary, { thread: Number })
  const invalid = (path: string) => ({ name: 'RuncastError', code: 'invalid', detail: [{ path }] })
  // @ts-expect-error: no number
  await t.rejects(jobs.submit(squares, { to: 'two' }), invalid('/input/to'))
  // @ts-expect-error: no such field
  await t.rejects(jobs.submit(stubborn, { scripts: 'quick' }), { code: 'invalid' })
  await t.rejects(jobs.submit({ name: 'unheard', dialect: 'run' } as typeof stubborn, { script: 'quick' }), invalid('/kind'))
  t.same([brief.name, vigil.dialect], ['brief', 'process'])
})
