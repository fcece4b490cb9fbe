import { setTimeout as sleep } from 'node:timers/promises'
import { runMain } from '../src/app/process.js'
import type { Listener } from './neighbour/listener.js'
import { LOUD } from './neighbour/load.js'
import { Stage } from './neighbour/stage.js'
import { machine, quantile, table } from './report.js'

const LOAD = { perSecond: 2000, seconds: 10 }
const LIGHT_JOBS = 50
const SLICES = ['quiet', 'noisy', 'noisy', 'quiet'] as const
const WARM_UP_JOBS = 10
const CONCURRENCY = 64
/** Maximum delay that the loud job may add to the ends of the light ones. */
const MAX_DELAY_MS = 100

type Slice = (typeof SLICES)[number]

/** Result of one slice: ms from the end of each light job's processor until a client had its final message; losses. */
interface Shown {
  readonly waits: number[]
  readonly lost: string[]
  /** Entries of the loud job. */
  readonly perSecond: number
  readonly resyncs: number
}

/** `npm run bench:neighbour`: light jobs with and without a job that floods Redis. */
async function main(): Promise<void> {
  const stage = await Stage.start(LOAD, CONCURRENCY)
  const shown = new Map<Slice, Shown[]>(SLICES.map((slice) => [slice, []]))
  try {
    await lightJobs(stage, 'warm-up', WARM_UP_JOBS)
    for (const [i, slice] of SLICES.entries()) shown.get(slice)?.push(await show(stage, slice, i))
  } finally {
    await stage.stop()
  }
  process.exitCode = report(shown) ? 0 : 1
}

/** 50 light jobs, spread over the duration of the loud one. */
async function show(stage: Stage, slice: Slice, number: number): Promise<Shown> {
  const id = `${LOUD}-${number}`
  const loud = slice === 'noisy' ? await stage.run(id, 'loud-user', number) : []
  const light = await lightJobs(stage, `light-${number}`, LIGHT_JOBS)
  const finals = await Promise.all(loud.map((listener) => listener.finished()))
  const { entries = 0, took_ms = 0 } = finals.map((final) => 'metrics_summary' in final && final.metrics_summary)[0] || {}
  const lost = [...light.lost, ...loud.flatMap((listener) => lostOf(id, listener, entries))]
  return { waits: light.waits, lost, perSecond: (1000 * entries) / took_ms, resyncs: loud.reduce((sum, { resyncs }) => sum + resyncs, 0) }
}

async function lightJobs(stage: Stage, name: string, count: number): Promise<Pick<Shown, 'waits' | 'lost'>> {
  const everyMs = (1000 * LOAD.seconds * 0.9) / LIGHT_JOBS
  const jobs = Array.from({ length: count }, async (_, i) => {
    await sleep(i * everyMs)
    const [id, sub] = [`${name}-${i}`, `user-${i}`]
    const listeners = await stage.run(id, sub, i)
    const waits: number[] = []
    for (const listener of listeners) {
      const final = await listener.finished()
      if ('metrics_summary' in final) waits.push(listener.finalAt - (final.metrics_summary.ended_ms ?? Number.NaN))
    }
    const logged = await stage.logged(id, sub)
    return { waits, lost: listeners.flatMap((listener) => listener.missing(logged).map((seq) => `${id} ${seq}`)) }
  })
  const done = await Promise.all(jobs)
  return { waits: done.flatMap(({ waits }) => waits), lost: done.flatMap(({ lost }) => lost) }
}

/**
 * Checks the loud job by the numbers of its entries, because its log is trimmed before it ends. A client that was too
 * slow got a new snapshot, which is not a loss.
 */
function lostOf(id: string, { values, resyncs }: Listener, entries: number): string[] {
  if (resyncs > 0) return []
  const holes = values.filter((value, i) => i > 0 && value !== (values[i - 1] ?? 0) + 1)
  return values.at(-1) === entries - 1 ? holes.map((value) => `${id} before ${value}`) : [`${id} after ${values.at(-1)}`]
}

function report(shown: ReadonlyMap<Slice, readonly Shown[]>): boolean {
  const waitsOf = (slice: Slice) => shown.get(slice)?.flatMap(({ waits }) => waits) ?? []
  const all = [...shown.values()].flat()
  const rows = [...shown.keys()].map((slice) => {
    const waits = waitsOf(slice)
    return [slice, `${waits.length}`, ...[0.5, 0.95, 1].map((share) => quantile(waits, share).toFixed(1))]
  })
  const delay = quantile(waitsOf('noisy'), 0.95) - quantile(waitsOf('quiet'), 0.95)
  const lost = all.flatMap(({ lost }) => lost)
  const loud = shown.get('noisy') ?? []
  const isWithinLimits = lost.length === 0 && delay <= MAX_DELAY_MS
  const { processor, cores, system } = machine()
  process.stdout.write(`
From the end of a light job's processor until a client has its final message, over two hubs, in ms
${table([['slices', 'n', 'median', 'p95', 'max'], ...rows])}
  loud job: ${loud.map(({ perSecond }) => perSecond.toFixed(0)).join(', ')} persisted entries per second; its clients got a new snapshot ${loud.reduce((sum, { resyncs }) => sum + resyncs, 0)} times
  lost: ${lost.length === 0 ? 'nothing' : lost.slice(0, 10).join(', ')}
  p95 noisy − p95 quiet: ${delay.toFixed(1)} ms, at most ${MAX_DELAY_MS}
${processor}, ${cores} cores, ${system}, Node ${process.version}
${isWithinLimits ? 'within limits' : 'LIMIT EXCEEDED'}
`)
  return isWithinLimits
}

await runMain(main)
