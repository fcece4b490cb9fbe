import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../../src/worker/processor.js'
import type { RunProcessor } from '../../test/support/kinds.js'

/** How loud the loud job is: durable entries, none of which may be left out. */
export interface Load {
  readonly perSecond: number
  readonly seconds: number
}

/** Which part a job plays is told by how its id begins. */
export const LOUD = 'loud'

const METRICS = 32
const PAUSE_MS = 4
const LIGHT_ENTRIES = 10
const LIGHT_PAUSE_MS = 20
/** So that whoever watches is there from its first entries on. */
const LIGHT_START_MS = 100

/** One loud job among light ones: through the real worker, context and queue, without the computing. */
export function neighbours(load: Load): RunProcessor {
  return (_input, job) => (job.id.startsWith(LOUD) ? shout(job, load) : whisper(job))
}

/** Measurements by the clock, numbered from 0; where Redis is slow for a while they come later and all the same. */
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

/** With the moment of the end, by the clock that all processes of a machine share. */
function ended(summary: Record<string, number>) {
  return { metrics_summary: { ...summary, ended_ms: now() } }
}

/** Ms since the epoch, with their fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}
