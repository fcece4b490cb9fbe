import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { signToken } from '../../src/cli/token.js'
import { freePort } from '../../src/embedded/redis-port.js'
import { startStack } from '../../src/embedded/stack.js'
import type { SolverEntry } from '../../src/solvers/solver.js'
import { eventually } from '../helpers/eventually.js'
import { type Harness, HORN, SECRET, startHarness } from '../helpers/harness.js'
import { isRunning } from '../helpers/is-running.js'
import type { TestClient } from '../helpers/test-client.js'
import { killProcess, startWorkerProcess } from '../helpers/worker-process.js'

const PROGRAM = fileURLToPath(new URL('../helpers/scripted-program.js', import.meta.url))
const WORKER = fileURLToPath(new URL('../../workers/main.js', import.meta.url))
const EXAMPLE = fileURLToPath(new URL('../../../examples/python-solver/solvers.json', import.meta.url))

/** A file with these solvers; where they name no program, the script of their name. */
function fileOf(t: Test, ...solvers: (Partial<SolverEntry> & { name: string })[]): string {
  const whole = solvers.map((solver) => ({ command: process.execPath, args: [PROGRAM, solver.name], ...solver }))
  return join(t.testdir({ 'solvers.json': JSON.stringify({ solvers: whole }) }), 'solvers.json')
}

/** Real hubs, and, unless `settings` is null, a real worker process, with the same file. */
async function start(t: Test, SOLVERS_FILE: string, settings: Record<string, string> | null = {}) {
  const env = { SOLVERS_FILE, CANCEL_GRACE_MS: '1000', WORKER_LOCK_MS: '1000', ...settings }
  const harness = await startHarness(t, { nodes: 2, processor: null, env })
  return { harness, worker: settings === null ? undefined : startWorkerProcess(t, harness, env) }
}

/** Submits a run to a solver and watches it from its beginning over the other hub. */
async function run(h: Harness, solver: string, input: object = {}, more: object = {}): Promise<{ id: string; client: TestClient }> {
  const answer = await h.call('POST', '/api/v2/runs', { body: { solver, input, ...more } })
  if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  const id: string = answer.body.run_id
  return { id, client: await h.connect(id, { node: 1 }) }
}

async function pidsOf(client: TestClient): Promise<number[]> {
  return (await client.next('progress')).message.split(' ').map(Number)
}

function allEnded(pids: readonly number[]): Promise<boolean> {
  return eventually(() => pids.length > 0 && pids.every((pid) => !isRunning(pid)))
}

t.test('[SOLVER-3] the example in Python: progress and metrics as they come, and what the closed form says', async (t) => {
  const { harness } = await start(t, EXAMPLE)
  const [masses, stiffness_n_per_m, mass_kg] = [12, 500, 0.2]
  const { client } = await run(harness, 'chain', { masses, stiffness_n_per_m, mass_kg })
  const { metrics_summary, ...final } = await client.next('completed')
  const exact = (Math.sqrt(stiffness_n_per_m / mass_kg) * Math.sin(Math.PI / (2 * (masses + 1)))) / Math.PI
  t.ok(Math.abs(metrics_summary.natural_frequency_hz / exact - 1) < 1e-6, `${metrics_summary.natural_frequency_hz} against ${exact}`)
  t.match(final, { status: 'completed', attempts: 1 })
  const progress = client.messages.filter(({ type }) => type === 'progress')
  t.ok(progress.length > 0 && progress.every(({ phase, percent }) => ['meshing', 'solving'].includes(phase) && percent < 100))
  t.same(client.messages.filter(({ type }) => type === 'metric_update').length, 20, 'none is left out')
  t.ok(readFileSync(join(EXAMPLE, '../solver.py'), 'utf8').trimEnd().split('\n').length <= 20)
})

t.test('[SOLVER-5] a crash in Python ends in `error`, once, with the traceback at the end of the log', async (t) => {
  const script = 'import sys\nprint("reading")\ndef solve(chain):\n    return 1 / chain["masses"]\nsolve({"masses": 0})'
  const { harness } = await start(t, fileOf(t, { name: 'crash', command: 'python3', args: ['-c', script] }))
  const { client } = await run(harness, 'crash')
  const error = await client.next('error')
  t.match(error, { code: 'solver_error', error: 'The program exited with code 1.', attempts: 1 })
  t.match(error.solver_log_tail, /Traceback \(most recent call last\):\n.*in solve\n.*ZeroDivisionError: division by zero/s)
  t.match(error.solver_log_tail, /reading/)
})

t.test('[SOLVER-1] [SOLVER-2] a run names a solver of the file; its program gets the input as it was given, and no secret', async (t) => {
  const { harness } = await start(t, fileOf(t, { name: 'echo-and-fail' }), { ACME_KEY: 'sk-1' })
  const unknown = await harness.call('POST', '/api/v2/runs', { body: { solver: 'nobodys', input: {} } })
  t.match(unknown, { status: 422, body: { detail: [{ path: '/solver', expected: 'one of horn-2d, echo-and-fail' }] } })
  const command = await harness.call('POST', '/api/v2/runs', { body: { solver: 'echo-and-fail', command: 'sh', input: {} } })
  t.match(command, { status: 422, body: { detail: [{ path: '/command' }] } })
  // What the built-in solver would take as well, which has defaults for the rest.
  const { id, client } = await run(harness, 'echo-and-fail', HORN)
  const { solver_log_tail: log } = await client.next('error')
  t.same(JSON.parse(/^input (.*)$/m.exec(log)?.[1] ?? ''), HORN)
  t.match(log, new RegExp(`^run ${id}$`, 'm'))
  const variables = /^variables (.*)$/m.exec(log)?.[1]?.split(' ') ?? []
  t.ok(variables.includes('PATH'))
  t.same(
    variables.filter((name) => !/^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|RUNCAST_RUN_ID)$/.test(name)),
    [],
  )
})

t.test('[SOLVER-6] a cancel over another hub ends the program and what it has started; the worker goes on', async (t) => {
  const { harness, worker } = await start(t, fileOf(t, { name: 'family' }, { name: 'deaf-family' }, { name: 'talk' }))
  const family = await run(harness, 'family')
  const pids = await pidsOf(family.client)
  await harness.call('POST', `/api/v2/runs/${family.id}/cancel`)
  t.notOk('forced' in (await family.client.next('cancelled')), 'it has obeyed')
  t.ok(pids.length === 2 && (await allEnded(pids)))

  const deaf = await run(harness, 'deaf-family')
  const deafPids = await pidsOf(deaf.client)
  await harness.call('POST', `/api/v2/runs/${deaf.id}/cancel`)
  t.match(await deaf.client.next('cancelled'), { forced: true })
  t.ok(deafPids.length === 2 && (await allEnded(deafPids)))

  const { client } = await run(harness, 'talk')
  t.match(await client.next('completed'), { metrics_summary: { f: 1.5 } })
  t.equal(client.messages.findLast(({ type }) => type === 'progress').percent, 50, 'and what a program tells never makes the bar fall')
  t.equal(worker?.exitCode, null)
  t.same(harness.faults, [])
})

t.test('[SOLVER-6] kill -9 of the worker leaves no process of a run behind', async (t) => {
  const { harness, worker } = await start(t, fileOf(t, { name: 'deaf-family' }))
  const { client } = await run(harness, 'deaf-family')
  const pids = await pidsOf(client)
  if (!worker?.pid) throw new Error('no worker')
  const guard = childrenOf(worker.pid)
  t.equal(guard.length, process.platform === 'linux' ? 1 : 0)
  await killProcess(worker)
  t.ok(pids.length === 2 && (await allEnded([...pids, ...guard])))
})

t.test('[SOLVER-6] a worker that is told to stop hands its run back and leaves no process of it behind', async (t) => {
  const { harness, worker } = await start(t, fileOf(t, { name: 'deaf-family' }), { WORKER_FINISH_MS: '0' })
  const { client } = await run(harness, 'deaf-family')
  const pids = await pidsOf(client)
  if (!worker) throw new Error('no worker')
  worker.kill('SIGTERM')
  await once(worker, 'exit')
  t.ok(pids.length === 2 && (await allEnded(pids)))
  t.match(await eventually(() => client.messages.find(({ status, seq }) => status === 'queued' && seq > 1)), { reason: 'the worker stops' })
})

/** The processes that a process has started, where the system tells. */
function childrenOf(pid: number): number[] {
  if (process.platform !== 'linux') return []
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

t.test('[SOLVER-4] a program that tells more than a job may have waiting is slowed down, and nothing is lost', async (t) => {
  const { harness } = await start(t, fileOf(t, { name: 'flood' }))
  const { id, client } = await run(harness, 'flood')
  t.match(await client.next('completed'), { metrics_summary: { last: 20_000 } })
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { attempt: 1, metrics: { f: { value: 20_000 } }, seq: Number })
  t.equal(client.messages.at(-1).seq, 2 + 20_000 + 1, 'queued, running, each metric, completed')
  t.same(harness.faults, [])
})

t.test('[SOLVER-1] a run has the time of its solver, unless its submit says otherwise', async (t) => {
  const { harness } = await start(t, fileOf(t, { name: 'family', timeout_s: 1, concurrency: 2 }))
  const first = await run(harness, 'family')
  const other = await run(harness, 'family', {}, { job_timeout_s: 600 })
  const [pids, others] = [await pidsOf(first.client), await pidsOf(other.client)]
  t.match(await first.client.next('error'), { code: 'timeout', error: /its 1 s/ })
  t.ok(await allEnded(pids))
  t.ok(others.length === 2 && others.every(isRunning), 'and its solver computes two at a time')
  await harness.call('POST', `/api/v2/runs/${other.id}/cancel`)
  await other.client.next('cancelled')
})

t.test(
  '[SOLVER-1] each solver has a queue of its own; WORKER_SOLVERS says which ones a worker takes, and a ready hub has them all',
  async (t) => {
    const { harness } = await start(t, fileOf(t, { name: 'family' }, { name: 'talk' }), {
      WORKER_SOLVERS: 'family',
      READY_NEEDS_WORKER: 'yes',
    })
    const [busy, waits] = [await run(harness, 'family'), await run(harness, 'talk')]
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
  const { harness } = await start(t, fileOf(t, { name: 'talk' }), null)
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
  const env = { ...process.env, REDIS_URL: h.redis.url, JWT_SECRET: SECRET, LOG_LEVEL: 'silent', WORKER_KINDS: 'run', ...settings }
  const worker: ChildProcess = spawn(process.execPath, [WORKER], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  h.onTeardown(() => worker.kill('SIGKILL'))
  if (!worker.stderr) throw new Error('no stderr')
  const [stderr, [code]] = await Promise.all([text(worker.stderr), once(worker, 'exit')])
  return { code, stderr }
}

t.test('[SOLVER-1] a worker whose machine lacks a program says so and does not start; a hub needs none', async (t) => {
  const file = fileOf(t, { name: 'here' }, { name: 'gone', command: 'no-such-program-anywhere' })
  const { harness } = await start(t, file, null)
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
  const h = await startHarness(t, { env: { SOLVERS_FILE: fileOf(t, { name: 'talk' }) } })
  const hub = h.nodes[0]?.hub
  if (!h.worker || !hub) throw new Error('no worker')
  h.worker.parts.queue.state = () => Promise.reject(new Error('gone'))
  // The hub alone sweeps, and finds nothing to look at.
  await h.worker.parts.sweeper.close()
  hub.parts.store.active = async () => []
  const listeners = async () => String(await hub.parts.broker.commands.client('LIST')).match(/name=\S*:qe/g)?.length
  await eventually(async () => (await listeners()) === 3)
  const answer = await h.call('POST', '/api/v2/runs', { body: { solver: 'talk', input: {} } })
  const client = await h.connect(answer.body.run_id)
  t.match(await client.next('completed'), { metrics_summary: { f: 1.5 } })
  t.match(
    h.logged.filter((line) => 'source' in line),
    [{ status: 'completed', source: 'queue' }],
  )
})

t.test('[STATE-11] a program that is silent for long is stale until its next line', async (t) => {
  // Two beats fit in.
  const { harness } = await start(t, fileOf(t, { name: 'family' }), { STALE_MS: '6000', WORKER_LOCK_MS: '10000' })
  const { id, client } = await run(harness, 'family')
  await pidsOf(client)
  t.equal((await harness.call('GET', `/api/v2/runs/${id}`)).body.stale, false)
  await eventually(async () => (await harness.call('GET', `/api/v2/runs/${id}`)).body.stale, { timeoutMs: 30_000 })
  await harness.call('POST', `/api/v2/runs/${id}/cancel`)
  await client.next('cancelled')
})

t.test('[SOLVER-1] the stack on one machine has the solvers of the file', async (t) => {
  const solvers = fileOf(t, { name: 'talk' })
  const ports = [await freePort(), await freePort()]
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
})
