import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../../src/worker/processor.js'
import type { RunProcessor } from '../../test/support/kinds.js'

/** Rate of the loud job: persisted entries, none of which may be dropped. */
export interface Load {
  readonly perSecond: number
  readonly seconds: number
}

/** The prefix of its id determines the role of a job. */
export const LOUD = 'loud'

const METRICS = 32
const PAUSE_MS = 4
const LIGHT_ENTRIES = 10
const LIGHT_PAUSE_MS = 20
/** Delay before the first entries, so that the clients are subscribed. */
const LIGHT_START_MS = 100

/** One loud job among light ones, through the real worker, context and queue, without computation. */
export function neighbours(load: Load): RunProcessor {
  return (_input, job) => (job.id.startsWith(LOUD) ? shout(job, load) : whisper(job))
}

/** Metrics at a fixed rate, numbered from 0. If Redis is slow, they are sent later, but all of them. */
async function shout(job: Job<'run'>, { perSecond, seconds }: Load) {
  const begin = performance.now()
  const total = perSecond * seconds
  for (let count = 0; count < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - begin) / 1000) * perSecond))
    for (; count < due; count += 1) job.metric(`m${count % METRICS}`, count, '1')
    await job.flush()
    await sleep(PAUSE_MS, undefined, { signal: job.signal })
  }
  return ended({ entries: total, took_ms: performance.now() - begin })
}

async function whisper(job: Job<'run'>) {
  await sleep(LIGHT_START_MS)
  for (let i = 0; i < LIGHT_ENTRIES; i += 1) {
    job.metric(`m${i}`, i, '1')
    job.progress({ percent: (100 * i) / LIGHT_ENTRIES, phase: 'solving', message: `${i}` })
    await sleep(LIGHT_PAUSE_MS, undefined, { signal: job.signal })
  }
  return ended({})
}

/** Ends with the current time by the clock of the machine. */
function ended(summary: Record<string, number>) {
  return { metrics_summary: { ...summary, ended_ms: now() } }
}

/** ms since the epoch, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}
