import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { signToken } from '../../src/cli/token.js'
import { startStack } from '../../src/embedded/stack.js'
import { BUILT_IN_KINDS } from '../../src/kinds/index.js'
import { eventually } from '../support/eventually.js'
import { type Harness, SECRET, startHarness } from '../support/harness.js'
import { isRunning } from '../support/is-running.js'
import { testPort } from '../support/ports.js'
import { startTestRedis } from '../support/redis.js'
import { allEnded, pidsOf, runSolver, solversFile, startSolvers } from '../support/solvers.js'
import { startWorkerProcess } from '../support/worker-process.js'

const WORKER = fileURLToPath(new URL('../../workers/main.js', import.meta.url))

t.test('[SOLVER-1] a run has the time of its solver, unless its submit says otherwise', async (t) => {
  const { harness } = await startSolvers(t, solversFile(t, { name: 'family', timeout_s: 1, concurrency: 2 }))
  const other = await runSolver(harness, 'family', {}, { job_timeout_s: 600 })
  const others = await pidsOf(other.client)
  const first = await runSolver(harness, 'family')
  const pids = await pidsOf(first.client)
  t.match(await first.client.next('error'), { code: 'timeout', error: /time limit of 1 s/ })
  t.ok(await allEnded(pids))
  t.ok(others.length === 2 && others.every(isRunning), 'beside another one, since its solver computes two at a time')
  await harness.call('POST', `/api/v2/runs/${other.id}/cancel`)
  await other.client.next('cancelled')
})

t.test(
  '[SOLVER-1] each solver has a queue of its own; WORKER_SOLVERS says which ones a worker takes, and a ready hub has them all',
  async (t) => {
    const { harness } = await startSolvers(t, solversFile(t, { name: 'family' }, { name: 'talk' }), {
      WORKER_SOLVERS: 'family',
      READY_NEEDS_WORKER: 'yes',
    })
    const [busy, waits] = [await runSolver(harness, 'family'), await runSolver(harness, 'talk')]
    await pidsOf(busy.client)
    const backlog = harness.nodes[0]?.hub.parts.backlog
    const workers = () => Promise.all(['run', 'run.family', 'run.talk'].map((queue) => backlog?.workers(queue)))
    t.same(await workers(), [0, 1, 0])
    t.ok(await eventually(async () => (await harness.call('GET', '/readyz')).status === 200), 'of this hub, which has the setting too')
    startWorkerProcess(t, harness, { SOLVERS_FILE: harness.config.SOLVERS_FILE, WORKER_SOLVERS: 'talk,horn-2d' })
    await waits.client.next('completed')
    t.same(await workers(), [1, 1, 1])
    const own = await harness.connect(await harness.submit())
    t.match(await own.next('completed'), { metrics_summary: { natural_frequency_hz: Number } })
    await harness.call('POST', `/api/v2/runs/${busy.id}/cancel`)
    await busy.client.next('cancelled')
  },
)

t.test('[SOLVER-1] a hub is not ready while a solver that it offers has no worker', async (t) => {
  const { harness } = await startSolvers(t, solversFile(t, { name: 'talk' }), null)
  const all = await startHarness(t, { processor: null, env: { SOLVERS_FILE: harness.config.SOLVERS_FILE, READY_NEEDS_WORKER: 'yes' } })
  const settings = { SOLVERS_FILE: harness.config.SOLVERS_FILE }
  startWorkerProcess(t, all, { ...settings, WORKER_SOLVERS: 'horn-2d' })
  await eventually(() => all.nodes[0]?.hub.parts.backlog.workers('run'))
  t.match(await all.call('GET', '/readyz'), { status: 503, body: { checks: { worker: false } } })
  startWorkerProcess(t, all, { ...settings, WORKER_SOLVERS: 'talk' })
  await eventually(async () => (await all.call('GET', '/readyz')).status === 200)
})

/** Starts a worker that cannot; answers what it says. */
async function refusalOf(h: Harness, settings: Record<string, string>): Promise<{ code: number; stderr: string }> {
  const env = {
    ...process.env,
    REDIS_URL: h.redis.url,
    REDIS_PREFIX: h.redis.prefix,
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    WORKER_KINDS: 'run',
    ...settings,
  }
  const worker: ChildProcess = spawn(process.execPath, [WORKER], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  h.onTeardown(() => worker.kill('SIGKILL'))
  if (!worker.stderr) throw new Error('no stderr')
  const [stderr, [code]] = await Promise.all([text(worker.stderr), once(worker, 'exit')])
  return { code, stderr }
}

t.test('[SOLVER-1] a worker whose machine lacks a program says so and does not start; a hub needs none', async (t) => {
  const file = solversFile(t, { name: 'here' }, { name: 'gone', command: 'no-such-program-anywhere' })
  const { harness } = await startSolvers(t, file, null)
  t.match(await harness.call('POST', '/api/v2/runs', { body: { solver: 'gone', input: {} } }), { status: 202 })
  t.same(await refusalOf(harness, { SOLVERS_FILE: file }), {
    code: 1,
    stderr: `The solvers in ${file} (SOLVERS_FILE) are not valid:\n  /solvers/1/command: expected a program that can be executed: no no-such-program-anywhere in PATH\n`,
  })
  t.same(await refusalOf(harness, { SOLVERS_FILE: file, WORKER_SOLVERS: 'here,other' }), {
    code: 1,
    stderr: 'The settings are not valid:\n  WORKER_SOLVERS: expected names of horn-2d, here, gone\n',
  })
  await t.rejects(startHarness(t, { env: { SOLVERS_FILE: join(file, '../nowhere.json') } }), { name: 'SolversError' })
})

t.test('[STATE-7] news of a solver’s queue are heard too: its end is told where its worker could not', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), env: { SOLVERS_FILE: solversFile(t, { name: 'talk' }) } })
  const hub = h.nodes[0]?.hub
  if (!h.worker || !hub) throw new Error('no worker')
  h.worker.parts.queue.state = () => Promise.reject(new Error('gone'))
  // The hub alone sweeps, and finds nothing to look at.
  await h.worker.parts.sweeper.close()
  hub.parts.store.active = async () => []
  const listeners = async () => String(await hub.parts.broker.commands.client('LIST')).match(/name=\S*:qe/g)?.length
  await eventually(async () => (await listeners()) === BUILT_IN_KINDS.length + 1)
  const answer = await h.call('POST', '/api/v2/runs', { body: { solver: 'talk', input: {} } })
  const client = await h.connect(answer.body.run_id)
  t.match(await client.next('completed'), { metrics_summary: { f: 1.5 } })
  t.match(
    h.logged.filter((line) => 'source' in line),
    [{ status: 'completed', source: 'queue' }],
  )
})

t.test('[SOLVER-1] the stack on one machine has the solvers of the file', async (t) => {
  const solvers = solversFile(t, { name: 'talk' })
  const ports = [await testPort(), await testPort()]
  const env = { ...process.env, SOLVERS_FILE: solvers, LOG_LEVEL: 'silent', JWT_SECRET: undefined, REDIS_URL: undefined }
  const stack = await startStack({ host: '127.0.0.1', ports, kinds: ['run'], jwtSecret: SECRET, env })
  t.teardown(() => stack.stop())
  const headers = { authorization: `Bearer ${signToken(SECRET, 'alice', 60)}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ run_id: 'r', solver: 'talk', input: {} })
  t.equal((await fetch(`${stack.nodes[0]}/api/v2/runs`, { method: 'POST', headers, body })).status, 202)
  const stateOf = async () =>
    (await (await fetch(`${stack.nodes[1]}/api/v2/runs/r`, { headers })).json()) as { status: string; result: object }
  await eventually(async () => (await stateOf()).status === 'completed')
  t.match(await stateOf(), { result: { metrics_summary: { f: 1.5 } } })
  t.match(stack.redisUrl, /^redis:\/\/:[0-9a-f]{48}@127\.0\.0\.1:\d+$/, 'its Redis has a password')
  if (process.platform !== 'linux') return
  const environments = readdirSync('/proc').flatMap((pid) => (/^\d+$/.test(pid) ? environmentOf(pid) : []))
  const own = environments.filter((lines) => lines.includes(`SOLVERS_FILE=${solvers}`))
  const holders = own.filter((lines) => lines.includes(`JWT_SECRET=${SECRET}`))
  t.same([own.length, holders.length], [3, 2], 'the hubs have the secret of the tokens, the worker does not')
})

/** Empty where it is of another user, or has ended meanwhile. */
function environmentOf(pid: string): string[][] {
  try {
    return [readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')]
  } catch (error) {
    if (error instanceof Error && 'code' in error) return []
    throw error
  }
}
