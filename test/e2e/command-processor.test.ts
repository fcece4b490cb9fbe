import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Solver } from '../../src/config/solver.js'
import type { InputOf } from '../../src/kinds/index.js'
import { type Job, JobFailure, Stop } from '../../src/worker/processor.js'
import { commandProcessor } from '../../src/worker/program/command-processor.js'
import { eventually } from '../support/eventually.js'
import { isRunning } from '../support/is-running.js'
import { allEnded } from '../support/solvers.js'

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url))

function solverOf(script: string, options: Partial<Solver> = {}): Solver {
  return { name: 'scripted', command: process.execPath, args: [PROGRAM, script], cwd: process.cwd(), env: {}, concurrency: 1, ...options }
}

interface Plan {
  readonly solver?: Partial<Solver>
  readonly input?: unknown
  readonly traceparent?: string
  readonly worker?: Readonly<Record<string, string>>
  /** What a report of a metric waits for. */
  readonly room?: () => Promise<void>
}

/** One execution of a scripted program, without queue and hub: what it told, and the signals in the hands of the test. */
function play(
  t: Test,
  script: string,
  { solver = {}, input = {}, traceparent, worker = process.env as Record<string, string>, room = async () => {} }: Plan = {},
) {
  // Not `t.testdir`, which would empty the one that a test has made.
  const folder = mkdtempSync(join(tmpdir(), 'runcast-test-run-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const stop = new AbortController()
  const kill = new AbortController()
  const progress: string[] = []
  const metrics: number[] = []
  const log: string[] = []
  let signs = 0
  const job: Job<'run'> = {
    id: 'run-1',
    traceparent,
    signal: stop.signal,
    killed: kill.signal,
    progress: async ({ percent, phase, message }) => void progress.push(`${percent} ${phase} ${message}`),
    metric: (_name, value) => {
      metrics.push(value)
      return room()
    },
    log: (line) => void log.push(String(line)),
    artifact: async () => {},
    folder: async () => folder,
    flush: async () => {},
    alive: () => {
      signs += 1
    },
  }
  const result = commandProcessor(solverOf(script, solver), worker)(input as InputOf<'run'>, job)
  result.catch(() => {})
  t.teardown(() => kill.abort())
  /** Those that the program told first. */
  const pids = () => eventually(() => progress[0]?.split(' ').slice(2).map(Number))
  const endsAs = (expected: { name: string; why: string }) => t.rejects(result, expected)
  return { result, folder, progress, metrics, log, pids, endsAs, stop, kill, signs: () => signs }
}

t.test('[SOLVER-2] a program gets its input on stdin, its own folder and arguments, and no secret of the worker', async (t) => {
  const folder = t.testdir({})
  const worker = { PATH: process.env.PATH ?? '', HOME: '/somewhere', JWT_SECRET: 'x', REDIS_URL: 'redis://x', ACME_KEY: 'y' }
  const solver = { cwd: folder, args: [PROGRAM, 'echo', '$HOME; exit', 'ä'], env: { THREADS: '2' } }
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const run = play(t, 'echo', { solver, worker, traceparent, input: { größe: ['→', 'x'.repeat(200_000)] } })
  t.same(await run.result, { metrics_summary: {} })
  t.same(JSON.parse(run.log.join('')), {
    input: { größe: ['→', 'x'.repeat(200_000)] },
    cwd: folder,
    args: ['$HOME; exit', 'ä'],
    env: {
      ...{ PATH: worker.PATH, HOME: '/somewhere', THREADS: '2' },
      ...{ RUNCAST_RUN_ID: 'run-1', RUNCAST_RUN_DIR: run.folder, TRACEPARENT: traceparent },
    },
  })
})

t.test('[SOLVER-3] its events are reports, all its other lines log; each of them is a sign of life', async (t) => {
  const run = play(t, 'talk')
  t.same(await run.result, { metrics_summary: { f: 1.5 } })
  t.same(run.progress, ['50 undefined undefined', '20 postprocessing less'])
  t.same(run.metrics, [1.5])
  t.same(run.log, ['plain text', '{"type":"unknown"}', '[1]', '{"no": "type"}', '{ broken'])
  t.equal(run.signs(), 1 + 5 + 4, 'and its start is one')
})

t.test('[SOLVER-5] a program that fails is not started again: exit code, signal, no result, a result taken back', async (t) => {
  const cases = [
    ['exit3', 'The program exited with code 3.'],
    ['killed', 'The program was ended by SIGKILL.'],
    ['nothing', 'The program ended without a result.'],
    ['fails-after', 'The program exited with code 3.'],
  ] as const
  for (const [script, message] of cases) {
    const run = play(t, script)
    const error = await run.result.catch((error: unknown) => error)
    t.ok(error instanceof JobFailure, script)
    t.match(error, { code: 'solver_error', message })
  }
})

t.test('[SOLVER-3] [FAIL-2] a program reports a failure with its code and a retry', async (t) => {
  const error = await play(t, 'fails-with-code').result.catch((error: unknown) => error)
  t.match(error, { name: 'JobFailure', code: 'bad_csv', message: 'line 7', retry: { delayMs: 5 } })
})

t.test('[SOLVER-3] an event that is not valid fails the run with its field, and the program is ended', async (t) => {
  const run = play(t, 'bad-event')
  const error = await run.result.catch((error: unknown) => error)
  t.ok(error instanceof JobFailure)
  t.match(error, { message: /^Line 1 of stdout is a metric_update that is not valid: .*\/metric_name: .*\/value: / })
  t.match(run.log[0], 'metric_update', 'the line is in the log')
})

t.test('[SOLVER-5] what cannot be started on this machine may be tried on another', async (t) => {
  const folder = t.testdir({ 'not-executable': '', 'no-interpreter': '#!/no/such/interpreter\n' })
  chmodSync(join(folder, 'no-interpreter'), 0o755)
  const cases: [solver: Partial<Solver>, code: string][] = [
    [{ command: 'no-such-program-anywhere' }, 'ENOENT'],
    [{ command: './not-executable', cwd: folder }, 'EACCES'],
    [{ command: './no-interpreter', cwd: folder }, 'ENOENT'],
    [{ cwd: join(folder, 'gone') }, 'ENOENT'],
  ]
  for (const [solver, code] of cases) {
    const error = await play(t, 'nothing', { solver }).result.catch((error: unknown) => error)
    t.notOk(error instanceof JobFailure, code)
    t.match(error, { message: new RegExp(`^The program could not be started: .*${code}`) })
  }
})

t.test('[SOLVER-6] a stop reaches the program and all that it has started', async (t) => {
  const run = play(t, 'family')
  const pids = await run.pids()
  t.equal(pids.length, 2)
  run.stop.abort(new Stop('cancelled'))
  await run.endsAs({ name: 'Stop', why: 'cancelled' })
  t.ok(await allEnded(pids), 'also what does not obey: nothing of a run outlives it')
})

t.test('[SOLVER-6] a program that is deaf goes on until it is killed, with all that it has started', async (t) => {
  const run = play(t, 'deaf-family')
  const pids = await run.pids()
  run.stop.abort(new Stop('timeout'))
  let hasEnded = false
  run.result.catch(() => {
    hasEnded = true
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.ok(!hasEnded && pids.every(isRunning), 'for as long as its runner lets it')
  run.kill.abort(run.stop.signal.reason)
  await run.endsAs({ name: 'Stop', why: 'timeout' })
  t.ok(await allEnded(pids))
})

t.test('[SOLVER-5] [SOLVER-6] a guard that is killed takes the program with it, which is nothing that the program did', async (t) => {
  const run = play(t, 'orphans')
  const [program = 0, child = 0, guard = 0] = await run.pids()
  process.kill(guard, 'SIGKILL')
  const error = await run.result.catch((error: unknown) => error)
  t.notOk(error instanceof JobFailure)
  t.match(error, { message: 'The guard of the program was lost.' })
  t.ok(await allEnded([program, child]))
})

t.test('[SOLVER-6] a stop that comes before the program has begun ends it too', async (t) => {
  const before = play(t, 'silent')
  before.stop.abort(new Stop('stopping'))
  await before.endsAs({ name: 'Stop', why: 'stopping' })
  const deaf = play(t, 'deaf')
  deaf.stop.abort(new Stop('lost'))
  deaf.kill.abort(deaf.stop.signal.reason)
  await deaf.endsAs({ name: 'Stop', why: 'lost' })
})

t.test('[SOLVER-6] a result that a program tells when it is asked to end stands', async (t) => {
  const run = play(t, 'late')
  await run.pids()
  run.stop.abort(new Stop('cancelled'))
  t.same(await run.result, { metrics_summary: { late: 1 } })
})

t.test('[SOLVER-5] a program that has told its result and does not end is ended, and its result stands', async (t) => {
  const begun = Date.now()
  const run = play(t, 'lingers')
  t.same(await run.result, { metrics_summary: { f: 1 } })
  t.ok(Date.now() - begun >= 5000, 'after a while')
  t.ok(await allEnded(await run.pids()))
})

t.test('[SOLVER-6] what a program leaves behind is ended with it', async (t) => {
  const run = play(t, 'leaves')
  t.same(await run.result, { metrics_summary: {} })
  const pids = await run.pids()
  t.equal(pids.length, 2)
  t.ok(await allEnded(pids))
})

t.test('[SOLVER-6] what has left the group of a program holds nobody up', async (t) => {
  const run = play(t, 'leaves-stranger')
  const [, stranger = 0] = await run.pids()
  t.teardown(() => process.kill(stranger, 'SIGKILL'))
  t.same(await run.result, { metrics_summary: {} })
  t.ok(isRunning(stranger), 'it has the streams of the program open')
})

t.test('[SOLVER-6] nor does it by writing to them', async (t) => {
  const run = play(t, 'leaves-talker')
  const [, stranger = 0] = await run.pids()
  t.teardown(() => process.kill(stranger, 'SIGKILL'))
  t.same(await run.result, { metrics_summary: {} })
  t.ok(isRunning(stranger))
})

t.test('[SOLVER-5] a program that somebody else asked to end may be tried again', async (t) => {
  const run = play(t, 'family')
  const [pid = 0] = await run.pids()
  process.kill(pid, 'SIGTERM')
  const error = await run.result.catch((error: unknown) => error)
  t.match(error, { message: 'The program was ended by SIGTERM.' })
  t.notOk(error instanceof JobFailure)
})

t.test('[SOLVER-4] a program that tells more than is taken waits, and nothing is lost', async (t) => {
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const run = play(t, 'flood', { room: () => (run.metrics.length === 64 ? gate : Promise.resolve()) })
  await eventually(() => run.metrics.length === 64)
  await new Promise((resolve) => setTimeout(resolve, 500))
  t.equal(run.metrics.length, 64, 'nothing is read while there is no room')
  release()
  t.same(await run.result, { metrics_summary: { last: 20_000 } })
  t.same(
    run.metrics,
    Array.from({ length: 20_000 }, (_, i) => i + 1),
  )
})

t.test('[SOLVER-4] a line beyond a MiB is log, cut, and the program goes on', async (t) => {
  const run = play(t, 'long-line')
  t.same(await run.result, { metrics_summary: {} })
  t.same(run.progress, [])
  t.equal(run.log.length, 1)
  t.equal(run.log[0]?.length, 1_048_576)
})

t.test('[SOLVER-2] a program that does not read its input has not failed', async (t) => {
  const run = play(t, 'inattentive', { input: { much: 'x'.repeat(5_000_000) } })
  t.same(await run.result, { metrics_summary: {} })
})
