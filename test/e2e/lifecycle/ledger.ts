import { randomInt } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Job, Results } from '../../../src/worker/processor.js'

/*
 * What computations have reported, written to files that a SIGKILL does not take away: each report before it is handed
 * to the worker, and what had been handed to it once a flush has resolved.
 */

/** A reported point. x: its step, null for one without. */
export type Reported = readonly [x: number | null, y: number]

/** Counts of reports: points by metric, and log lines. */
interface Counts {
  readonly points: Readonly<Record<string, number>>
  readonly lines: number
}

/** One computation of a job: what it reported at most, and at least what was acknowledged. */
export interface Call {
  readonly points: ReadonlyMap<string, readonly Reported[]>
  /** With the mark of the call and their index. */
  readonly lines: readonly string[]
  readonly acknowledged: Counts
  /** Optional artifacts: each that is not stored is a line of the worker itself. */
  readonly artifacts: number
  /** Whether it returned a result, after all of its reports. */
  hasReturned: boolean
}

/** What a job's computations have reported, by their numbers. */
export type Ledger = ReadonlyMap<number, Call>

/** A row of the file of a call. */
type Row =
  | { readonly metric: string; readonly points: readonly Reported[] }
  | { readonly line: string }
  | { readonly acknowledged: Counts }
  | { readonly artifact: string }
  | { readonly returned: true }

/** The metric whose values name the call that has reported them. */
export const MARK = 'mark'
const WAVE = 16_384
const MARKS = { perProgress: 12, most: 3000 }
const LINES_PER_PROGRESS = 4
/** Progress reports between two flushes. */
const FLUSH_EVERY = 8

/** The value of a call's point of `MARK`, which no other call reports. It rises and falls. */
function markOf(call: number, i: number): number {
  return call * WAVE + ((i * 7919) % WAVE)
}

/** The call that reported a value of `MARK`. */
export function callOfMark(value: number): number {
  return Math.floor(value / WAVE)
}

/** The call of a log line, and the index of the line in it; null for a line of the worker itself. */
export function callOfLine(text: string): { readonly call: number; readonly index: number } | null {
  const [, call, index] = /^(\d+) (\d+) /.exec(text) ?? []
  return call === undefined ? null : { call: Number(call), index: Number(index) }
}

/** Whether a line says that an artifact was not stored: the worker writes it after the lines so far. */
export function isOfWorker(text: string): boolean {
  return text.startsWith('not stored: ')
}

/** Computes a job in `compute`, which reports more than it would alone; all of it is in the ledger in `folder`. */
export async function recorded(job: Job<'run'>, folder: string, compute: (job: Job<'run'>) => Promise<Results['run']>) {
  const call = randomInt(1, 2 ** 31)
  const file = openSync(join(folder, `${job.id}.${call}`), 'a')
  const write = (row: Row) => writeSync(file, `${JSON.stringify(row)}\n`)
  const points: Record<string, number> = {}
  let [lines, reports] = [0, 0]
  const metric: Job<'run'>['metric'] = (name, value, options) => {
    points[name] = (points[name] ?? 0) + 1
    const step = typeof options === 'object' ? options.step : undefined
    write({ metric: name, points: [[step ?? null, value]] })
    return job.metric(name, value, options)
  }
  const log = (text: string) => {
    const line = `${call} ${lines++} ${text}`
    write({ line })
    job.log(line)
  }
  const mark = (count: number) => {
    const from = points[MARK] ?? 0
    const added = Array.from({ length: Math.min(count, MARKS.most - from) }, (_, i) => [from + i, markOf(call, from + i)] as const)
    points[MARK] = from + added.length
    write({ metric: MARK, points: added })
    for (const [step, value] of added) void job.metric(MARK, value, { step })
  }
  const flush = async () => {
    const acknowledged = { points: { ...points }, lines }
    await job.flush()
    // A flush also resolves where the reports were given up.
    if (!job.signal.aborted) write({ acknowledged })
  }
  const progress: Job<'run'>['progress'] = (body) => {
    mark(MARKS.perProgress)
    for (let i = 0; i < LINES_PER_PROGRESS; i += 1) log(`of progress ${reports}`)
    if (++reports % FLUSH_EVERY === 0) void flush()
    return job.progress(body)
  }
  const artifact: Job<'run'>['artifact'] = (name, content) => {
    write({ artifact: name })
    return job.artifact(name, content)
  }
  try {
    // Nothing precedes the mark: whatever else is stored is of a known call.
    mark(1)
    await flush()
    const result = await compute({
      ...job,
      metric,
      progress,
      artifact,
      log: (value) => log(typeof value === 'string' ? value : value.message),
    })
    write({ returned: true })
    return result
  } finally {
    closeSync(file)
  }
}

/** The ledger of a job. A row that a kill has cut off was not reported. */
export function readLedger(folder: string, id: string): Ledger {
  const calls = new Map<number, Call>()
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${id}.`)) continue
    const rows = readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)
    calls.set(Number(name.slice(id.length + 1)), callFrom(rows.map((row) => JSON.parse(row))))
  }
  return calls
}

function callFrom(rows: readonly Row[]): Call {
  const points = new Map<string, Reported[]>()
  const lines: string[] = []
  let acknowledged: Counts = { points: {}, lines: 0 }
  let artifacts = 0
  let hasReturned = false
  for (const row of rows) {
    if ('metric' in row) {
      const known = points.get(row.metric) ?? []
      known.push(...row.points)
      points.set(row.metric, known)
    } else if ('line' in row) lines.push(row.line)
    else if ('acknowledged' in row) acknowledged = row.acknowledged
    else if ('artifact' in row) artifacts += 1
    else hasReturned = row.returned
  }
  return { points, lines, acknowledged, artifacts, hasReturned }
}
