import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../../../src/core/entry.js'
import type { Heard } from './heard.js'
import { type Call, callOfLine, callOfMark, isOfWorker, type Ledger, MARK, type Reported } from './ledger.js'
import type { JobRecord, Said } from './record.js'
import type { Bucket, Curve, Digests, Line, Lines, Telemetry } from './telemetry-record.js'

/** What one worker has added to the curves between a start and the next status of the job. */
interface Stint {
  readonly round: number
  readonly attempt: number
  readonly calls: Set<number>
  /** By metric: points in the attempt before, and with it. */
  readonly points: Map<string, { readonly from: number; n: number }>
  isWhole: boolean
}

/**
 * [SERIES-1] [SERIES-3] [SERIES-4] The curves that Redis holds are the fold of the points that were reported in the
 * last attempt: all acknowledged ones, and only reported ones.
 */
export function checkCurves(record: JobRecord): string[] {
  const { ledger, telemetry, log } = record
  if (ledger.size === 0) return []
  const faults: string[] = []
  const stints = stintsOf(log, (text) => faults.push(text))
  for (const stint of stints) faults.push(...checkStint(stint, ledger))
  const last = attemptOf(log)
  const expected = new Map<string, Reported[]>()
  for (const { round, attempt, calls, points } of stints) {
    if (round !== last.round || attempt !== last.attempt) continue
    for (const [name, { from, n }] of points) {
      const own =
        ledger
          .get([...calls][0] ?? 0)
          ?.points.get(name)
          ?.slice(0, n - from) ?? []
      expected.set(name, [...(expected.get(name) ?? []), ...own])
    }
  }
  const { curves } = telemetry.stored
  const names = [...new Set([...expected.keys(), ...curves.keys()])]
  return [...faults, ...names.flatMap((name) => checkCurve(name, curves.get(name), expected.get(name)))]
}

/** The stints of a log, with the points that its entries count. */
function stintsOf(log: JobRecord['log'], onFault: (text: string) => void): Stint[] {
  const stints: Stint[] = []
  let [round, attempt] = [1, 1]
  let before = new Map<string, number>()
  let stint: Stint | undefined
  for (const entry of log) {
    if (entry.clears === 'round') [round, attempt] = [round + 1, 1]
    if (entry.clears === 'attempt') attempt += 1
    if (entry.clears) before = new Map()
    if (entry.to === 'completed' && stint) stint.isWhole = true
    if (entry.to !== undefined && entry.to !== 'cancelling') stint = undefined
    if (entry.to === 'running') {
      stint = { round, attempt, calls: new Set(), points: new Map(), isWhole: false }
      stints.push(stint)
    }
    const { metric_name: name, n, value }: Said = messageOf(entry)
    if (!entry.key.startsWith('metric:') || !stint) continue
    const from = stint.points.get(name)?.from ?? before.get(name) ?? 0
    if (!(n > (before.get(name) ?? 0))) onFault(`${name} has ${n} points after ${before.get(name)} at ${entry.seq}`)
    before.set(name, n)
    stint.points.set(name, { from, n })
    if (name === MARK) stint.calls.add(callOfMark(value))
  }
  return stints
}

function checkStint({ round, attempt, calls, points, isWhole }: Stint, ledger: Ledger): string[] {
  const where = `in attempt ${attempt} of round ${round}`
  const [number = 0] = calls
  if (calls.size !== 1) return points.size > 0 || isWhole ? [`${calls.size} computations reported ${where}`] : []
  const call = ledger.get(number)
  if (!call) return [`nobody knows of computation ${number} ${where}`]
  if (isWhole && !call.hasReturned) return [`completed by ${number}, which has not returned`]
  return [...new Set([...call.points.keys(), ...points.keys()])].flatMap((name) => {
    const { from, n } = points.get(name) ?? { from: 0, n: 0 }
    const most = call.points.get(name)?.length ?? 0
    const bounds = [isWhole ? most : (call.acknowledged.points[name] ?? 0), most] as const
    return isWithin(n - from, bounds) ? [] : [`${n - from} points of ${name} ${where}, not ${bounds.join(' to ')}`]
  })
}

/** At least what was acknowledged, at most what was reported; all of it once the job has completed. */
function isWithin(count: number, [least, most]: readonly [number, number]): boolean {
  return count >= least && count <= most
}

function checkCurve(name: string, curve: Curve | undefined, points: readonly Reported[] = []): string[] {
  if (!curve) return [`there is no curve of the ${points.length} points of ${name}`]
  const { n, k, buckets } = curve
  if (n !== points.length) return [`the curve of ${name} has ${n} points of ${points.length}`]
  if (!Number.isInteger(Math.log2(k))) return [`the curve of ${name} has a k of ${k}`]
  const wanted = foldOf(points, k)
  const at = wanted.findIndex((bucket, i) => !isDeepStrictEqual(masked(bucket, buckets[i]), buckets[i]))
  if (at >= 0 || wanted.length !== buckets.length)
    return [`bucket ${at} of ${name} is ${JSON.stringify(buckets[at])}, not ${JSON.stringify(wanted[at])} of ${wanted.length}`]
  const xs = buckets.flatMap(([first = 0, last = 0]) => [first, last])
  const falls = curve.x === 'seconds' && xs.some((x, i) => x < (xs[i - 1] ?? 0))
  return falls ? [`the clock of ${name} falls`] : []
}

/** The buckets of these points by their definition. Of points without a step nobody here knows x. */
function foldOf(points: readonly Reported[], k: number): Bucket[] {
  return Array.from({ length: Math.ceil(points.length / k) }, (_, i) => {
    const own = points.slice(i * k, (i + 1) * k)
    const ys = own.map(([, y]) => y)
    const xOf = (point: Reported | undefined) => point?.[0] ?? Number.NaN
    return [xOf(own[0]), xOf(own.at(-1)), ys[0] ?? 0, Math.min(...ys), Math.max(...ys), ys.at(-1) ?? 0, own.length]
  })
}

function masked(bucket: Bucket, by: Bucket | undefined): Bucket {
  return bucket.map((field, i) => (Number.isNaN(field) ? (by?.[i] ?? field) : field))
}

/** Execution and attempt of the last entry. */
function attemptOf(log: JobRecord['log']): { round: number; attempt: number } {
  let [round, attempt] = [1, 1]
  for (const { clears } of log) {
    if (clears === 'round') [round, attempt] = [round + 1, 1]
    if (clears === 'attempt') attempt += 1
  }
  return { round, attempt }
}

/**
 * [LOG-1] [LOG-2] The log that Redis holds has the newest lines that computations of the last execution wrote, each in
 * its attempt, one after the other, numbered without a gap: all acknowledged ones, and only written ones.
 */
export function checkLines({ ledger, log, telemetry }: JobRecord): string[] {
  const faults = checkNumbers(telemetry.stored.lines)
  const { last, kept } = withoutWorker(telemetry.stored.lines)
  if (ledger.size === 0) return faults
  const { round } = attemptOf(log)
  const stints = stintsOf(log, () => {}).filter((stint) => stint.round === round && stint.calls.size === 1)
  const attempts = new Map(stints.map(({ calls, attempt }) => [[...calls][0] ?? 0, attempt]))
  const order = [...attempts.keys()]
  // The number of the line before the first one of each call, as far as lines of it are kept.
  const offsets = new Map<number, number>()
  for (const [n, { text, attempt = 1 }] of kept) {
    const from = callOfLine(text)
    if (from === null) {
      faults.push(`line ${n} was written by no computation: ${text}`)
      continue
    }
    const { call, index } = from
    const [known, reached] = [offsets.get(call), [...offsets.keys()].at(-1)]
    if (ledger.get(call)?.lines[index] !== text) faults.push(`line ${n} says ${text}, which nobody wrote`)
    if (attempts.get(call) !== attempt) faults.push(`line ${n} of attempt ${attempt} is of a computation of attempt ${attempts.get(call)}`)
    if (known === undefined && reached !== undefined && order.indexOf(call) < order.indexOf(reached))
      faults.push(`line ${n} comes after its time`)
    if (known !== undefined && (known !== n - index || reached !== call)) faults.push(`line ${n} is line ${index} of ${call}, out of place`)
    offsets.set(call, n - index)
  }
  // Each call has written the lines between it and the next one. Of calls before the first one only bounds are known.
  const [first] = offsets.keys()
  const at = first === undefined ? order.length : order.indexOf(first)
  const bounds = (call: number) =>
    linesOf(
      ledger.get(call),
      stints.some(({ calls, isWhole }) => isWhole && calls.has(call)),
    )
  const sum = order
    .slice(0, at)
    .map(bounds)
    .reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0])
  const before = first === undefined ? last : (offsets.get(first) ?? 0) - 1
  // Among them may be lines of workers, which are not kept any more.
  const artifacts = order.slice(0, at + 1).reduce((count, call) => count + (ledger.get(call)?.artifacts ?? 0), 0)
  if (!isWithin(before, [sum[0], sum[1] + artifacts]))
    faults.push(`${before} lines before the computations whose lines are kept, not ${sum.join(' to ')}`)
  order.slice(at).forEach((call, i, calls) => {
    const begin = offsets.get(call)
    const next = calls.slice(i + 1).find((other) => offsets.has(other))
    const end = next === undefined ? last + 1 : (offsets.get(next) ?? 0)
    const count = begin === undefined ? 0 : end - begin
    if (!isWithin(count, bounds(call))) faults.push(`${count} lines of computation ${call}, not ${bounds(call).join(' to ')}`)
  })
  return faults
}

function linesOf(call: Call | undefined, isWhole: boolean): [number, number] {
  const { length = 0 } = call?.lines ?? []
  return [isWhole ? length : (call?.acknowledged.lines ?? 0), length]
}

/** The log as if workers had written no lines of their own. */
function withoutWorker({ last, kept }: Lines): Lines {
  let own = 0
  const others = new Map<number, Line>()
  for (const [n, line] of kept) {
    if (isOfWorker(line.text)) own += 1
    else others.set(n - own, line)
  }
  return { last: last - own, kept: others }
}

function checkNumbers({ last, kept }: Lines): string[] {
  const numbers = [...kept.keys()]
  const faults = numbers.flatMap((n, i) => (i > 0 && n !== (numbers[i - 1] ?? 0) + 1 ? [`line ${n} follows ${numbers[i - 1]}`] : []))
  if ((numbers.at(-1) ?? last) !== last || (last > 0 && numbers.length === 0)) faults.push(`the last line is ${numbers.at(-1)} of ${last}`)
  return faults
}

/** [LOG-3] [LOG-4] [SERIES-6] [SERIES-8] [ART-11] REST and every client end with what Redis holds. */
export function checkTelemetryOfClients({ telemetry: { stored, rest }, heard, log, ledger }: JobRecord): string[] {
  const { round } = attemptOf(log)
  const calls = new Set(stintsOf(log, () => {}).flatMap((stint) => (stint.round === round ? [...stint.calls] : [])))
  const isStrange = ({ text }: Line) => {
    const from = callOfLine(text)
    return ledger.size > 0 && !isOfWorker(text) && !(from && calls.has(from.call))
  }
  const faults = [...compareCurves(rest.curves, stored.curves), ...compareLines(rest.lines, stored.lines, true)].map(
    (text) => `REST: ${text}`,
  )
  return [
    ...faults,
    ...heard.flatMap((each) => {
      const strange = [...(each.telemetry?.lines?.kept.values() ?? [])].filter(isStrange)
      const wrong = strange.length > 0 ? [`${strange.length} lines of another execution, such as ${strange[0]?.text}`] : []
      return [...wrong, ...compare(each, stored, rest.artifacts)].map((text) => `${each.who}: ${text}`)
    }),
  ]
}

function compare({ telemetry = {} }: Heard, stored: Telemetry, files: Digests): string[] {
  const { curves, lines, isComplete, artifacts = files } = telemetry
  return [
    ...(curves ? compareCurves(curves, stored.curves) : []),
    ...(lines ? compareLines(lines, stored.lines, false) : []),
    ...(isDeepStrictEqual(artifacts, files) ? [] : [`the artifacts ${[...artifacts.keys()]}, over REST ${[...files.keys()]}`]),
    ...(isComplete === false ? ['the end of the log has not come'] : []),
  ]
}

function compareCurves(curves: ReadonlyMap<string, Curve>, stored: ReadonlyMap<string, Curve>): string[] {
  return [...new Set([...curves.keys(), ...stored.keys()])].flatMap((name) => {
    const [seen, kept] = [curves.get(name), stored.get(name)].map((curve) => curve && fieldsOf(curve))
    if (isDeepStrictEqual(seen, kept)) return []
    return [`the curve of ${name} has ${shown(seen)}, in Redis ${shown(kept)}`]
  })
}

function fieldsOf({ unit, x, n, k, buckets }: Curve): Curve {
  return { unit, x, n, k, buckets: buckets.map((bucket) => [...bucket]) }
}

function shown(curve: Curve | undefined): string {
  return curve ? `${curve.n} points by ${curve.k}, ending in ${JSON.stringify(curve.buckets.at(-1))}` : 'nothing'
}

/** A client may also hold older lines, which are not kept any more. */
function compareLines(lines: Lines, stored: Lines, isExact: boolean): string[] {
  if (lines.last !== stored.last) return [`the log ends with line ${lines.last}, in Redis with ${stored.last}`]
  if (isExact && lines.kept.size !== stored.kept.size) return [`${lines.kept.size} lines, in Redis ${stored.kept.size}`]
  const other = [...stored.kept].find(([n, line]) => !isDeepStrictEqual(lines.kept.get(n), line))
  if (other) return [`line ${other[0]} is ${JSON.stringify(lines.kept.get(other[0]))}, in Redis ${JSON.stringify(other[1])}`]
  return []
}
