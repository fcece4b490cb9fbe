import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import { type Job, JobFailure } from '../../src/worker/processor.js'
import { serveJobs } from '../../src/worker/threads/serve-jobs.js'

const result = (numbers: Record<string, number> = {}) => ({ metrics_summary: { thread: threadId, ...numbers } })

/** Scripts of a thread, by the first word of the job's id. */
const SCRIPTS: Record<string, (job: Job<'run'>, input: unknown) => Promise<ReturnType<typeof result>>> = {
  /** Reports and ends. */
  quick: async (job) => {
    for (let i = 1; i <= 3; i += 1) job.metric('m', i, 'Hz')
    job.log('quick')
    await job.flush()
    return result()
  },
  /** Blocks the thread, unless SCRIPTS_END is `yes`. */
  loop: async (job) => {
    job.progress({ percent: 1, phase: 'solving', message: 'for ever' })
    while (process.env.SCRIPTS_END !== 'yes');
    return result()
  },
  /** Obeys its abort signal; ends by itself only if SCRIPTS_END is `yes`. */
  long: async (job) => {
    job.progress({ percent: 1, phase: 'solving', message: 'waiting' })
    while (process.env.SCRIPTS_END !== 'yes') {
      await sleep(10)
      job.signal.throwIfAborted()
    }
    return result()
  },
  /** Ends by itself after a second. */
  short: async (job) => {
    job.progress({ percent: 1, phase: 'solving', message: 'soon' })
    await sleep(1000, undefined, { signal: job.signal })
    return result()
  },
  exit: async () => process.exit(3),
  crash: async () => {
    setImmediate(() => {
      throw new Error('nobody caught this')
    })
    return new Promise(() => {})
  },
  memory: async () => {
    const kept: number[][] = []
    for (;;) kept.push(new Array(1_000_000).fill(kept.length))
  },
  fails: async () => {
    throw new JobFailure('invalid_input', 'not this one')
  },
  throws: async () => {
    throw new TypeError('a hiccup')
  },
  invalid: async (job) => {
    job.metric('m', Number.NaN, 'Hz')
    await job.flush()
    return result()
  },
  /** Reports without yielding, and counts its reports where the test can read the count. */
  flood: async (job, input) => {
    const { said, reports } = input as { said: Int32Array; reports: number }
    for (let i = 1; i <= reports; i += 1) {
      job.metric('m', i, 'Hz')
      Atomics.store(said, 0, i)
    }
    return result()
  },
}

serveJobs<unknown, 'run'>((input, job) => {
  const script = SCRIPTS[job.id.split('-')[0] ?? '']
  return script ? script(job, input) : Promise.reject(new Error(`there is no script for ${job.id}`))
})
