import t from 'tap'
import type { HornInput } from '../../src/kinds/run/input.js'
import { deferred } from '../../src/worker/deferred.js'
import { type Job, JobFailure, Stop } from '../../src/worker/processor.js'
import { ThreadPool } from '../../src/worker/threads/thread-pool.js'
import { eventually } from '../support/eventually.js'
import type { RunProcessor } from '../support/kinds.js'

const pool = new ThreadPool<RunProcessor>(new URL('../support/scripted-thread.js', import.meta.url))

/** A job whose reports are kept, and which a test can stop and kill. */
function play(id: string, input: unknown = {}, room: Promise<void> = Promise.resolve()) {
  const stop = new AbortController()
  const kill = new AbortController()
  const told: string[] = []
  let signs = 0
  const job: Job<'run'> = {
    id,
    signal: stop.signal,
    killed: kill.signal,
    progress: async ({ percent }) => void told.push(`progress ${percent}`),
    metric: async (name, value) => {
      if (Number.isNaN(value)) throw new TypeError('a metric is a number')
      told.push(`${name} ${value}`)
      await room
    },
    log: (line) => void told.push(String(line)),
    artifact: async () => {},
    folder: async () => '',
    flush: async () => void told.push('flush'),
    alive: () => {
      signs += 1
    },
  }
  const result = pool.processor(input as HornInput, job)
  result.catch(() => {})
  const threadOf = async () => (await result).metrics_summary.thread
  return { result, threadOf, told, stop, kill, signs: () => signs }
}

t.test('reports, logs and flushes come in order, and the thread is used again', async (t) => {
  const first = play('quick-1')
  const thread = await first.threadOf()
  t.same(first.told, ['m 1', 'm 2', 'm 3', 'quick', 'flush'])
  t.equal(await play('quick-2').threadOf(), thread)
  const [a, b] = await Promise.all([play('quick-3').threadOf(), play('quick-4').threadOf()])
  t.not(a, b, 'two at once have a thread each')
})

t.test('[SERIES-3] all points of a thread come before its next report, also while there is no room', async (t) => {
  const room = deferred()
  const full = play('quick-full', {}, room.promise)
  await eventually(() => full.told.includes('flush'))
  t.same(full.told, ['m 1', 'm 2', 'm 3', 'quick', 'flush'])
  await full.result
  room.resolve()
})

t.test('a failure keeps its kind: of the job itself, or to be tried again', async (t) => {
  const failure = await play('fails').result.catch((error: unknown) => error)
  t.ok(failure instanceof JobFailure)
  t.match(failure, { code: 'invalid_input', message: 'not this one' })
  const fault = await play('throws').result.catch((error: unknown) => error)
  t.notOk(fault instanceof JobFailure)
  t.match(fault, { name: 'TypeError', message: 'a hiccup', stack: /scripted-thread/ }, 'with the stack of the thread')
})

t.test('a report that its schema refuses fails the attempt', async (t) => {
  await t.rejects(play('invalid').result, { name: 'TypeError', message: 'a metric is a number' })
})

t.test('an aborted signal reaches the thread, which is used again', async (t) => {
  const { threadOf: _, ...long } = play('long')
  await eventually(() => long.told.length > 0)
  long.stop.abort(new Stop('cancelled'))
  await t.rejects(long.result, { message: /cancelled/ })
  const before = play('long-before')
  before.stop.abort(new Stop('stopping'))
  await t.rejects(before.result, { message: /stopping/ })
})

t.test('[CANCEL-1] an endless loop gives no sign of life, and is ended by force', async (t) => {
  const alive = play('long-alive')
  const loop = play('loop')
  await eventually(() => loop.told.length > 0)
  const [last, others] = [loop.signs(), alive.signs()]
  loop.stop.abort(new Stop('cancelled'))
  await eventually(() => alive.signs() >= others + 2)
  t.equal(loop.signs(), last)
  loop.kill.abort()
  await t.rejects(loop.result, { message: /The thread of the processor has ended/ })
  alive.stop.abort(new Stop('cancelled'))
  await t.rejects(alive.result)
  await play('quick-after').result
})

t.test('[ATTEMPT-1] a thread that dies by itself fails the attempt with its reason, and is replaced', async (t) => {
  await t.rejects(play('exit').result, { message: 'The thread of the processor has ended (exit code 3).' })
  await t.rejects(play('crash').result, { message: 'The thread of the processor died: nobody caught this' })
  await play('quick-again').result
})

t.test('a thread that runs out of memory takes nothing else with it', async (t) => {
  const small = new ThreadPool<RunProcessor>(new URL('../support/scripted-thread.js', import.meta.url), { maxOldGenerationSizeMb: 32 })
  t.teardown(() => small.close())
  const job = { id: 'memory', signal: new AbortController().signal, killed: new AbortController().signal, alive: () => {} }
  await t.rejects(small.processor({} as HornInput, job as unknown as Job<'run'>), { message: /died: .*memory/ })
})

t.test('a processor that never yields cannot say more than is taken', async (t) => {
  const said = new Int32Array(new SharedArrayBuffer(4))
  const reports = 20_000
  const flood = play('flood', { said, reports })
  // This thread takes nothing while it waits here.
  while (Atomics.load(said, 0) === 0) await new Promise((resolve) => setImmediate(resolve))
  let before = -1
  while (Atomics.load(said, 0) !== before) {
    before = Atomics.load(said, 0)
    Atomics.wait(said, 0, before, 500)
  }
  t.ok(before < 5000, `${before} reports wait`)
  await flood.result
  t.equal(flood.told.length, reports, 'and none is lost')
})

t.test('a pool that closes ends the jobs that still run', async (t) => {
  const loop = play('loop-at-close')
  await eventually(() => loop.told.length > 0)
  await pool.close()
  await t.rejects(loop.result, { message: /The thread of the processor has ended/ })
})
