import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { HORN } from '../support/harness.js'
import { allEnded, pidsOf, runSolver, solversFile, startSolvers } from '../support/solvers.js'
import { killProcess } from '../support/worker-process.js'

const EXAMPLE = fileURLToPath(new URL('../../../examples/python-solver/solvers.json', import.meta.url))

t.test('[SOLVER-3] the example in Python: progress and metrics as they come, and what the closed form says', async (t) => {
  const { harness } = await startSolvers(t, EXAMPLE)
  const [masses, stiffness_n_per_m, mass_kg] = [12, 500, 0.2]
  const { client } = await runSolver(harness, 'chain', { masses, stiffness_n_per_m, mass_kg })
  const { metrics_summary, ...final } = await client.next('completed')
  const exact = (Math.sqrt(stiffness_n_per_m / mass_kg) * Math.sin(Math.PI / (2 * (masses + 1)))) / Math.PI
  t.ok(Math.abs(metrics_summary.natural_frequency_hz / exact - 1) < 1e-6, `${metrics_summary.natural_frequency_hz} against ${exact}`)
  t.match(final, { status: 'completed', attempts: 1 })
  const progress = client.messages.filter(({ type }) => type === 'progress')
  t.ok(progress.length > 0 && progress.every(({ phase, percent }) => ['meshing', 'solving'].includes(phase) && percent < 100))
  t.equal(client.messages.findLast(({ type }) => type === 'metric_update').n, 20, 'none is left out')
  t.ok(readFileSync(join(EXAMPLE, '../solver.py'), 'utf8').trimEnd().split('\n').length <= 20)
})

t.test('[SOLVER-5] a crash in Python ends in `error`, once, with the traceback at the end of the log', async (t) => {
  const script = 'import sys\nprint("reading")\ndef solve(chain):\n    return 1 / chain["masses"]\nsolve({"masses": 0})'
  const { harness } = await startSolvers(t, solversFile(t, { name: 'crash', command: 'python3', args: ['-c', script] }))
  const { client } = await runSolver(harness, 'crash')
  const error = await client.next('error')
  t.match(error, { code: 'solver_error', error: 'The program exited with code 1.', attempts: 1 })
  t.match(error.solver_log_tail, /Traceback \(most recent call last\):\n.*in solve\n.*ZeroDivisionError: division by zero/s)
  t.match(error.solver_log_tail, /reading/)
})

t.test('[SOLVER-1] [SOLVER-2] a run names a solver of the file; its program gets the input as it was given, and no secret', async (t) => {
  const { harness } = await startSolvers(t, solversFile(t, { name: 'echo-and-fail' }), { ACME_KEY: 'sk-1' })
  const unknown = await harness.call('POST', '/api/v2/runs', { body: { solver: 'nobodys', input: {} } })
  t.match(unknown, { status: 422, body: { detail: [{ path: '/solver', expected: 'one of horn-2d, echo-and-fail' }] } })
  const command = await harness.call('POST', '/api/v2/runs', { body: { solver: 'echo-and-fail', command: 'sh', input: {} } })
  t.match(command, { status: 422, body: { detail: [{ path: '/command' }] } })
  // What the built-in solver would take as well, which has defaults for the rest.
  const { id, client } = await runSolver(harness, 'echo-and-fail', HORN)
  const { solver_log_tail: log } = await client.next('error')
  t.same(JSON.parse(/^input (.*)$/m.exec(log)?.[1] ?? ''), HORN)
  t.match(log, new RegExp(`^run ${id}$`, 'm'))
  const exact = '{"big":9007199254740993,"huge":1e400,"zero":-0,"__proto__":{"constructor":1}}'
  const submit = (input: string) =>
    harness.call('POST', '/api/v2/runs', { body: `{"run_id":"exact","solver":"echo-and-fail","input":${input}}` })
  t.equal((await submit(exact)).status, 202)
  const again = await harness.connect('exact')
  t.equal(/^input (.*)$/m.exec((await again.next('error')).solver_log_tail)?.[1], exact)
  t.equal((await submit(exact)).status, 202)
  t.match(await submit(exact.replace('93', '92')), { status: 409, body: { error: 'other_input' } })
  const variables = /^variables (.*)$/m.exec(log)?.[1]?.split(' ') ?? []
  t.ok(variables.includes('PATH'))
  t.same(
    variables.filter((name) => !/^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|RUNCAST_RUN_(ID|DIR))$/.test(name)),
    [],
  )
})

t.test('[SOLVER-6] a cancel over another hub ends the program and what it has started; the worker goes on', async (t) => {
  const { harness, worker } = await startSolvers(t, solversFile(t, { name: 'family' }, { name: 'deaf-family' }, { name: 'talk' }))
  const family = await runSolver(harness, 'family')
  const pids = await pidsOf(family.client)
  await harness.call('POST', `/api/v2/runs/${family.id}/cancel`)
  t.notOk('forced' in (await family.client.next('cancelled')), 'it has obeyed')
  t.ok(pids.length === 2 && (await allEnded(pids)))

  const deaf = await runSolver(harness, 'deaf-family')
  const deafPids = await pidsOf(deaf.client)
  await harness.call('POST', `/api/v2/runs/${deaf.id}/cancel`)
  t.match(await deaf.client.next('cancelled'), { forced: true })
  t.ok(deafPids.length === 2 && (await allEnded(deafPids)))

  const { client } = await runSolver(harness, 'talk')
  t.match(await client.next('completed'), { metrics_summary: { f: 1.5 } })
  t.equal(client.messages.findLast(({ type }) => type === 'progress').percent, 50, 'and what a program tells never makes the bar fall')
  t.equal(worker?.exitCode, null)
  t.same(harness.faults, [])
})

t.test('[SOLVER-6] kill -9 of the worker leaves no process of a run behind', async (t) => {
  const { harness, worker } = await startSolvers(t, solversFile(t, { name: 'deaf-family' }))
  const { client } = await runSolver(harness, 'deaf-family')
  const pids = await pidsOf(client)
  if (!worker?.pid) throw new Error('no worker')
  const guard = childrenOf(worker.pid)
  t.equal(guard.length, process.platform === 'linux' ? 1 : 0)
  await killProcess(worker)
  t.ok(pids.length === 2 && (await allEnded([...pids, ...guard])))
})

t.test('[SOLVER-6] a worker that is told to stop hands its run back and leaves no process of it behind', async (t) => {
  const { harness, worker } = await startSolvers(t, solversFile(t, { name: 'deaf-family' }), { WORKER_FINISH_MS: '0' })
  const { client } = await runSolver(harness, 'deaf-family')
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
  const { harness } = await startSolvers(t, solversFile(t, { name: 'flood' }))
  const { id, client } = await runSolver(harness, 'flood')
  t.match(await client.next('completed'), { metrics_summary: { last: 20_000 } })
  t.match((await harness.call('GET', `/api/v2/runs/${id}`)).body, { attempt: 1, metrics: { f: { value: 20_000 } }, seq: Number })
  t.match((await harness.call('GET', `/api/v2/runs/${id}/series`)).body.series, [{ metric_name: 'f', n: 20_000 }])
  t.same(harness.faults, [])
})

t.test('[STATE-11] a program that is silent for long is stale until its next line', async (t) => {
  // Two beats fit in.
  const { harness } = await startSolvers(t, solversFile(t, { name: 'family' }), { STALE_MS: '6000', WORKER_LOCK_MS: '10000' })
  const { id, client } = await runSolver(harness, 'family')
  await pidsOf(client)
  t.equal((await harness.call('GET', `/api/v2/runs/${id}`)).body.stale, false)
  await eventually(async () => (await harness.call('GET', `/api/v2/runs/${id}`)).body.stale, { timeoutMs: 30_000 })
  await harness.call('POST', `/api/v2/runs/${id}/cancel`)
  await client.next('cancelled')
})
