import { isFinal, type Status } from '../../../src/protocol/status.js'
import type { Bucket, Curve, Line, Telemetry } from './telemetry-record.js'

// biome-ignore lint/suspicious/noExplicitAny: whatever a hub says
type Message = any

const TYPES = ['log', 'process_log', 'series', 'process_series', 'process_metric']

export interface FoldOptions {
  /** Asks for the buckets that contain points after the first `from` ones; null where nobody can be asked. */
  readonly ask: ((metricName: string, from: number) => void) | null
  readonly onFault: (fault: string) => void
}

/**
 * What a client makes of messages about log and curves, written from docs/reference/protocol.md alone (LOG-3, SERIES-1,
 * SERIES-2, SERIES-8).
 */
export class TelemetryFold {
  readonly #options: FoldOptions
  readonly #curves = new Map<string, Curve & { readonly epoch: string }>()
  #hasEnded = false
  #lines = new Map<number, Line>()
  #last = 0
  #logEpoch: string | undefined
  #isComplete = false

  constructor(options: FoldOptions) {
    this.#options = options
  }

  /** Parameters of a connection that goes on from here. */
  get query(): string {
    return `log=1&series=1&log_after=${this.#last}${this.#logEpoch === undefined ? '' : `&log_epoch=${this.#logEpoch}`}`
  }

  /** Whether the last log message was the end of its execution. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  get telemetry(): Telemetry {
    return { curves: this.#curves, lines: { last: this.#last, kept: this.#lines } }
  }

  /** Each connection gets every curve whole. */
  connected(): void {
    this.#curves.clear()
  }

  /**
   * Applies a status of the job. The curves of an earlier attempt or execution go. Those of the new one may have come
   * before.
   */
  entered(status: string, attempt: number | undefined): void {
    const isFirst = this.#hasEnded && !isFinal(status as Status)
    this.#hasEnded = isFinal(status as Status)
    const places = [...this.#curves].map(([name, { epoch }]) => ({
      name,
      round: Number(split(epoch)[1]),
      attempt: Number(split(epoch)[2]),
    }))
    const newest = Math.max(...places.map(({ round }) => round))
    const isOnly = places.every(({ round }) => round === newest)
    for (const { name, round, attempt: own } of places) {
      if ((isFirst && (isOnly || round < newest)) || own < (attempt ?? own)) this.#curves.delete(name)
    }
  }

  /** Returns whether the message was of this sort. */
  receive(message: Message): boolean {
    if (!TYPES.includes(message.type)) return false
    if ('seq' in message) this.#options.onFault(`${message.type} has a seq`)
    if (message.lines) this.#append(message)
    else this.#draw(message)
    return true
  }

  #append({ epoch, first, lines, end }: Message): void {
    if (epoch !== this.#logEpoch) {
      this.#lines = new Map()
      this.#last = 0
    }
    this.#logEpoch = epoch
    this.#isComplete = end === true
    for (const [i, line] of lines.entries()) {
      if (first + i <= this.#last) continue
      // The lines before it were dropped.
      if (first + i > this.#last + 1) this.#lines = new Map()
      this.#last = first + i
      this.#lines.set(this.#last, line)
    }
  }

  #draw({ metric_name: name, unit, x, epoch, from, n, k, points, buckets }: Message): void {
    const known = this.#curves.get(name)
    const before = known && known.epoch === epoch ? known : { n: 0, k: 1, buckets: [] }
    if (known && known.epoch !== epoch && isOlder(epoch, known.epoch))
      return this.#options.onFault(`a curve of ${epoch} after ${known.epoch}`)
    if (n <= before.n && k <= before.k) return
    if (from > before.n || (from < before.n && from % k !== 0)) return this.#ask(name, before.n, { from, n })
    const part: readonly Bucket[] = buckets ?? (points ?? []).map(([x, y]: [number, number]) => [x, x, y, y, y, y, 1])
    const kept = merged(before.buckets, k / before.k)
    // It begins at a bucket, or goes on from the last point.
    const own = from < before.n ? kept.slice(0, from / k) : kept
    this.#curves.set(name, { unit, x, epoch, n, k, buckets: added(own, part, k) })
  }

  #ask(name: string, from: number, missed: object): void {
    if (this.#options.ask) this.#options.ask(name, from)
    else this.#options.onFault(`the curve ${name} has ${from} points, and got ${JSON.stringify(missed)}`)
  }
}

/** Compares two attempts by their epochs. False if they are of different histories. */
function isOlder(epoch: string, than: string): boolean {
  const [history, round, attempt] = split(epoch)
  const [other, otherRound, otherAttempt] = split(than)
  return history === other && (Number(round) < Number(otherRound) || (round === otherRound && Number(attempt) < Number(otherAttempt)))
}

function split(epoch: string): string[] {
  const parts = epoch.split('.')
  return [parts.slice(0, -2).join('.'), ...parts.slice(-2)]
}

/** Neighbours merged, so that each bucket has so many times as many points. */
function merged(buckets: readonly Bucket[], times: number): Bucket[] {
  return Array.from({ length: Math.ceil(buckets.length / times) }, (_, i) => together(buckets.slice(i * times, (i + 1) * times)))
}

/** Buckets with those of a part after them: points of a bucket that is not full yet go into it. */
function added(before: readonly Bucket[], part: readonly Bucket[], k: number): Bucket[] {
  const all = [...before]
  for (const bucket of part) {
    const last = all.at(-1)
    if (last && (last[6] ?? k) < k) all[all.length - 1] = together([last, bucket])
    else all.push(bucket)
  }
  return all
}

function together(buckets: readonly Bucket[]): Bucket {
  const column = (field: number) => buckets.map((bucket) => bucket[field] ?? Number.NaN)
  const [first = Number.NaN, last = Number.NaN] = [column(0)[0], column(1).at(-1)]
  const count = column(6).reduce((sum, each) => sum + each, 0)
  return [first, last, column(2)[0] ?? Number.NaN, Math.min(...column(3)), Math.max(...column(4)), column(5).at(-1) ?? Number.NaN, count]
}
