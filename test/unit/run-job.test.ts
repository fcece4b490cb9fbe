import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { controlWriter, messageOf } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'
import { benchmarkKind } from '../../src/kinds/benchmark/kind.js'
import { RuncastError } from '../../src/protocol/codes.js'
import type { FailureRetry } from '../../src/protocol/failure.js'
import type { Settled } from '../../src/queue/queue.js'
import type { BrokerLimits, Publisher } from '../../src/storage/broker.js'
import { failedAttempt } from '../../src/worker/failed-attempt.js'
import type { JobContext } from '../../src/worker/job-context.js'
import { removeLeftFolders } from '../../src/worker/job-files.js'
import { type AnyProcessor, type Job, JobFailure } from '../../src/worker/processor.js'
import { type AttemptFailure, type Runner, runJob } from '../../src/worker/run-job.js'
import { errorOf, faultOf } from '../../src/worker/threads/fault.js'
import { memoryArtifacts } from '../support/memory-artifacts.js'
import { MemoryBroker } from '../support/memory-broker.js'

const events = processEvents('benchmark')

interface Plan {
  readonly limits?: Partial<BrokerLimits>
  /** Stands before the broker. */
  readonly publish?: (
    write: () => ReturnType<Publisher['publish']>,
    args: Parameters<Publisher['publish']>,
  ) => ReturnType<Publisher['publish']>
  readonly runner?: Partial<Runner>
  readonly onStart?: (context: JobContext, broker: MemoryBroker) => void
}

/** One attempt at a job in the process dialect, on a broker in memory. */
async function attempt(processor: (job: Job<'process'>) => Promise<unknown>, { limits, publish, runner, onStart }: Plan = {}) {
  const broker = new MemoryBroker(limits)
  const record = {
    kind: 'benchmark',
    owner: 'alice',
    input: '{}',
    digest: '',
    generation: 'g',
    created_at: '2026-01-01T00:00:00.000Z',
  } as const
  await broker.create({ id: 'j', ...record, timeoutMs: 3600_000, solver: null, parent: null }, events.status('j', 'queued'))
  if (publish) {
    const write = broker.publish.bind(broker)
    broker.publish = (...args) => publish(() => write(...args), args)
  }
  const failures: AttemptFailure[] = []
  const task = { kind: benchmarkKind, id: 'j', round: 1, token: 1, input: {} as never } as const
  const run = ((_input: unknown, job: Job<'process'>) => processor(job)) as AnyProcessor // of any kind in this dialect
  const settled: Settled = await runJob(task, run, {
    broker,
    cancelGraceMs: 200,
    onStart: (context) => onStart?.(context, broker),
    onFailed: (failure) => failures.push(failure),
    ...runner,
  })
  const page = await broker.history('j', 0, 100_000)
  const results = (page?.entries ?? []).map(messageOf).flatMap((message) => ('result' in message ? [message.result] : []))
  const retrying = (page?.entries ?? []).map(messageOf).filter((message) => message.type === 'process_retrying')
  return { settled, results, retrying, failures }
}

async function reportsOnce(job: Job<'process'>) {
  job.result({ ok: 1 })
  return { done: true }
}

/** For good, with this text: no other attempt follows. */
const failedWith = (error: string | RegExp) => ({ how: 'ended', outcome: { status: 'failed', code: 'solver_error', error } })

t.test('[REPORT-1] an oversize result fails the job with its size, and what was reported before is kept', async (t) => {
  const reports = [{ ok: 1 }, { big: 'x'.repeat(300_000) }, { ok: 2 }]
  const bytes = Buffer.byteLength(JSON.stringify(events.result('j', { big: 'x'.repeat(300_000) }).message))
  const text = `result: message of ${bytes} bytes exceeds MAX_EVENT_BYTES (262144)`
  for (const pauseMs of [0, 5]) {
    const { settled, results, failures } = await attempt(async (job) => {
      for (const report of reports) {
        job.result(report)
        if (pauseMs > 0) await sleep(pauseMs)
      }
      return { done: true }
    })
    t.match(settled, failedWith(text))
    t.same(results, [{ ok: 1 }], pauseMs === 0 ? 'also of the same batch' : 'with pauses')
    t.match(failures, [{ attempt: { number: 1 } }])
  }
})

t.test('[REPORT-1] a report that is refused ends the attempt at once, whatever the processor does', async (t) => {
  const begun = Date.now()
  let killed = 0
  const { settled } = await attempt(
    async (job) => {
      job.killed.addEventListener('abort', () => {
        killed = Date.now()
      })
      job.result({ big: 'x'.repeat(300_000) })
      return new Promise(() => {})
    },
    { runner: { cancelGraceMs: 1000 } },
  )
  t.match(settled, failedWith(/exceeds MAX_EVENT_BYTES/))
  t.ok(Date.now() - begun < 900, 'the time to obey is not waited for')
  await sleep(1050)
  t.ok(killed > 0, 'and one that does not obey is ended by force')
})

t.test('[REPORT-3] a value that JSON cannot hold fails the job with path and value, and the stack of the call', async (t) => {
  const loop: Record<string, unknown> = {}
  loop.again = { loop }
  const cases: [value: Record<string, unknown>, text: string][] = [
    [{ b: 10n }, 'result: /b: 10n is not a JSON value'],
    [loop, 'result: /again/loop: a circular reference is not a JSON value'],
    [{ list: [1, Number.NaN] }, 'result: /list/1: NaN is not a JSON value'],
  ]
  for (const [value, text] of cases) {
    for (const isCaught of [false, true]) {
      const { settled, results, failures } = await attempt(async (job) => {
        job.result({ ok: 1 })
        if (isCaught) await job.result(value).catch(() => {})
        else job.result(value)
        return { done: true }
      })
      t.match(settled, failedWith(text))
      t.same(results, [{ ok: 1 }])
      const [failure] = failures
      t.match(failure?.error, { name: 'TypeError', message: text, stack: /run-job\.test/ })
    }
  }
})

t.test('[REPORT-3] a returned value that JSON cannot hold fails the job with its path, without another attempt', async (t) => {
  const cases: [value: unknown, text: string][] = [
    [{ n: 10n }, 'The result is not valid: /n: 10n is not a JSON value'],
    [{ of: { a: new Map() } }, 'The result is not valid: /of/a: an object of the type Map is not a JSON value'],
    [undefined, 'The result is not valid: undefined is not a JSON value'],
  ]
  for (const [value, text] of cases) t.match((await attempt(async () => value)).settled, failedWith(text))
  t.match((await attempt(async () => ({ at: new Date(0) }))).settled, { how: 'done', result: { at: '1970-01-01T00:00:00.000Z' } })
})

t.test('[REPORT-1] a returned result that is too big fails the attempt, with its log', async (t) => {
  const big = async (job: Job<'process'>) => {
    job.log('computed')
    return { big: 'x'.repeat(300_000) }
  }
  const { settled, failures } = await attempt(big, { runner: { maxEventBytes: 262_144 } })
  const error = /^The result cannot be published: completed: message of 300\d{3} bytes exceeds MAX_EVENT_BYTES \(262144\)$/
  t.match(settled, failedWith(error))
  t.match(settled, { outcome: { log_tail: 'computed' } })
  t.match(failures, [{ attempt: { number: 1 }, error: { message: error } }])
})

t.test('[ATTEMPT-1] whatever a processor throws or logs, the attempt fails with a text', async (t) => {
  const cases: [thrown: unknown, error: string][] = [
    ['a text', 'a text'],
    [null, 'null'],
    [Object.create(null), 'an object of the type Object'],
    [{ message: 'no Error' }, 'no Error'],
    [Object.assign(new Error('x'), { message: 5 }), 'an object of the type Error'],
  ]
  for (const [thrown, error] of cases) {
    const { settled, failures } = await attempt(async (job) => {
      const lines: unknown[] = [42, undefined, { a: Object.create(null) }]
      for (const line of lines) job.log(line as string)
      throw thrown
    })
    t.match(settled, { how: 'retry', error: { message: error } })
    const log_tail = '42\nundefined\n{ a: [Object: null prototype] {} }'
    t.match(failedAttempt('j', failures[0] as AttemptFailure), { job: 'j', error, log_tail })
  }
})

t.test('[REPORT-1] more keys than a job may have fail it, and those before are kept', async (t) => {
  const { settled } = await attempt(reportsOnce, { limits: { maxKeys: 1 } })
  t.match(settled, failedWith(/MAX_KEYS \(1\)/))
})

t.test('[REPORT-1] reports that cannot be written for too long end the attempt, though the processor returns a result', async (t) => {
  let isStarted = false
  const { settled, failures } = await attempt(reportsOnce, {
    runner: { unreachableMs: 20 },
    publish: async (write) => {
      if (isStarted) throw new RuncastError('overloaded')
      isStarted = true
      return write()
    },
  })
  t.match(settled, { how: 'retry' })
  t.match(failures, [{ error: { why: 'unreachable' } }])
})

t.test('[REPORT-1] a job that has another writer does not complete by this one', async (t) => {
  const { settled } = await attempt(
    async (job) => {
      await job.flush()
      job.result({ ok: 1 })
      await job.flush()
      return { done: true }
    },
    {
      publish: async (write, [, [event]]) => (event?.key === 'result' ? { ok: false, reason: 'stale_writer', status: 'running' } : write()),
    },
  )
  t.match(settled, { how: 'refused' })
})

t.test('[CANCEL-2] a result that stands although the job was cancelled has all its reports', async (t) => {
  const { settled, results } = await attempt(
    async (job) => {
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }))
      job.result({ late: 1 })
      return { done: true }
    },
    {
      onStart: (context, broker) => {
        setTimeout(async () => {
          await broker.publish('j', [events.status('j', 'cancelling')], controlWriter(1))
          context.stop('cancelled')
        }, 10)
      },
    },
  )
  t.match(settled, { how: 'done' })
  t.same(results, [{ late: 1 }])
})

t.test('[FAIL-1] a JobFailure ends the job with a code of its own', async (t) => {
  const fails = (failure: () => Error) => attempt(() => Promise.reject(failure()))
  // An older process publishes `code`.
  t.match((await fails(() => new JobFailure('bad_csv', 'line 7'))).settled, {
    how: 'ended',
    outcome: { status: 'failed', code: 'solver_error', own_code: 'bad_csv', error: 'line 7' },
  })
  t.notOk('own_code' in Object((await fails(() => new JobFailure('timeout', 'slow'))).settled).outcome)
  for (const code of ['', 'Bad', '7up', 'no-dash', 'x'.repeat(65), 'forbidden', 'cancelled', 'store_full'])
    t.throws(() => new JobFailure(code, 'no'), { name: 'TypeError', message: /^code of a JobFailure: expected/ }, code)
  for (const delayMs of [-1, 0.5, 86_400_001, Number.NaN, '5' as unknown as number])
    t.throws(() => new JobFailure('bad_csv', 'no', { retry: { delayMs } }), { message: /from 0 to 86400000, not/ })
  t.match(new JobFailure('constructor', 'no', { cause: 7 }), { code: 'constructor', cause: 7, retry: false })
})

t.test('[FAIL-2] a JobFailure says when the next attempt begins', async (t) => {
  const cases: [retry: FailureRetry, delayMs: number][] = [
    [true, 1000],
    [{ delayMs: 86_400_000 }, 86_400_000],
    [{ delayMs: 0 }, 0],
  ]
  for (const [retry, delayMs] of cases) {
    const thrown = errorOf(faultOf(new JobFailure('busy', 'later', { retry })))
    const { settled, retrying } = await attempt(() => Promise.reject(thrown))
    t.match(settled, { how: 'retry', delayMs, error: { message: 'later' } }, 'also from a thread')
    t.match(retrying, [{ delay_ms: delayMs, error: 'later', max_attempts: 2 }])
  }
})

t.test('each failed attempt is handed to the log, an orderly end is not', async (t) => {
  const thrown = await attempt(async (job) => {
    job.log('the last line')
    throw new RangeError('row 8')
  })
  t.match(thrown.failures, [
    { attempt: { kind: { name: 'benchmark' }, number: 1, of: 2 }, error: { name: 'RangeError' }, logTail: 'the last line' },
  ])
  const failure = await attempt(async () => {
    throw new JobFailure('invalid_input', 'no')
  })
  t.match(failure.failures, [{ error: { message: 'no' } }])
  const untilStopped = (job: Job<'process'>) =>
    new Promise((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason)))
  for (const why of ['cancelled', 'stopping', 'timeout'] as const) {
    const { failures } = await attempt(untilStopped, { onStart: (context) => void setTimeout(() => context.stop(why), 10) })
    t.equal(failures.length, why === 'timeout' ? 1 : 0, why)
  }
  t.same((await attempt(async () => ({ done: true }))).failures, [])
})

t.test('[ART-4] an upload that does not proceed ends with the time of the attempt that is stopped', async (t) => {
  for (const [why, how] of [
    ['stopping', 'returned'],
    ['cancelled', 'ended'],
    ['timeout', 'ended'],
  ] as const) {
    for (const isReturned of [true, false]) {
      let stop = () => {}
      const { service } = memoryArtifacts({
        store: {
          put: () => {
            stop()
            return new Promise(() => {})
          },
        },
      })
      const begun = performance.now()
      const { settled } = await attempt(
        async (job) => {
          job.artifact('a', { data: 'x' })
          if (!isReturned) throw new Error('later')
          return { done: true }
        },
        {
          runner: { artifacts: service },
          onStart: (context) => {
            stop = () => context.stop(why)
          },
        },
      )
      if (isReturned) t.equal(settled.how, how, why)
      if (isReturned && why === 'cancelled') t.same(settled, { how, outcome: { status: 'cancelled' } }, 'the processor has obeyed')
      t.ok(performance.now() - begun < 2000, 'after cancelGraceMs')
    }
  }
})

t.test('[ART-4] a folder that cannot be removed costs no result, and no other folder', async (t) => {
  const before = process.env.TMPDIR
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  const place = t.testdir({ tmp: {} })
  const tmp = join(place, 'tmp')
  process.env.TMPDIR = tmp
  const faults: unknown[] = []
  const onFault = (error: unknown) => faults.push(error)
  const { settled } = await attempt(
    async (job) => {
      await job.folder()
      rmSync(tmp, { recursive: true })
      writeFileSync(tmp, 'no folder')
      return { done: true }
    },
    { runner: { onFault } },
  )
  t.match(settled, { how: 'done', result: { done: true } })
  t.match(faults, [{ code: 'ENOTDIR' }])

  rmSync(tmp)
  const left = (n: number) => `runcast-run-${hostname()}-2147483646-${n}`
  for (const n of [1, 2, 3]) mkdirSync(join(tmp, left(n), 'of the program'), { recursive: true })
  const own = join(tmp, left(1), 'of the program')
  writeFileSync(join(own, 'file'), '')
  // Only root can remove what is in such a folder.
  chmodSync(own, 0o555)
  faults.length = 0
  await removeLeftFolders(onFault)
  const isRoot = process.getuid?.() === 0
  t.same(readdirSync(tmp), isRoot ? [] : [left(1)])
  t.equal(faults.length, isRoot ? 0 : 1)
  if (!isRoot) chmodSync(own, 0o755)
})
