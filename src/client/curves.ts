import { type Bucket, SeriesFold } from '../core/series.js'
import type { SeriesPartMessage } from '../protocol/series-messages.js'

/** A message about the curve of a metric, in either dialect. */
export type SeriesMessage = SeriesPartMessage & { readonly type: 'series' | 'process_series' | 'process_metric' }

/** The curve of a metric. */
export interface Curve {
  readonly metric_name: string
  readonly unit: string
  /** What x is: the `step` of the reports, or seconds since the start of the attempt. */
  readonly x: 'step' | 'seconds'
  /** Number of points. */
  readonly n: number
  /** Points per bucket, a power of two; the last bucket may have fewer. */
  readonly k: number
  /** At most 2,000. They are copied at the first access, which shows the newest points. */
  readonly buckets: readonly Bucket[]
}

/** In which attempt and execution a job is. */
interface JobPhase {
  readonly attempt: number
  readonly started_at: string | null
  readonly finished_at: string | null
}

interface Known {
  epoch: string
  fold: SeriesFold
  curve: Curve
}

const TYPES: readonly string[] = ['series', 'process_series', 'process_metric']

export function isSeriesMessage(message: { readonly type: string }): message is SeriesMessage {
  const { metric_name, from, n, k } = message as Partial<SeriesMessage>
  return TYPES.includes(message.type) && typeof metric_name === 'string' && [from, n, k].every((value) => typeof value === 'number')
}

/**
 * The curves of a job, equal to what the store holds. A message proves with `from` that no point is missing before it;
 * otherwise the missing points are requested.
 */
export class Curves {
  readonly #request: (metricName: string, from: number) => void
  readonly #known = new Map<string, Known>()
  /** Curves whose missing points were requested. */
  readonly #requested = new Set<string>()
  #view: ReadonlyMap<string, Curve> | undefined

  /** `request` asks the hub for the points of a curve after the first `from` ones. */
  constructor(request: (metricName: string, from: number) => void) {
    this.#request = request
  }

  /** The curves by the name of their metric, in the order in which they began; immutable. */
  get view(): ReadonlyMap<string, Curve> {
    this.#view ??= new Map([...this.#known].map(([name, { curve }]) => [name, curve]))
    return this.#view
  }

  /** Returns whether a curve has changed. */
  receive(message: SeriesMessage): boolean {
    const { metric_name: name, epoch } = message
    const before = this.#known.get(name)
    // The client follows the k of the store, whose limits it does not know.
    const fold = before?.epoch === epoch ? before.fold : new SeriesFold({ maxBuckets: Number.POSITIVE_INFINITY })
    const result = fold.fold(message)
    if (result === 'gap') this.#ask(name, fold.n)
    else this.#requested.delete(name)
    if (result !== 'applied') return false
    this.#known.set(name, { epoch, fold, curve: curveOf(message, fold) })
    this.#view = undefined
    return true
  }

  /** Requests were lost, with a connection or by a refusal. */
  forgetRequests(): void {
    this.#requested.clear()
  }

  /**
   * The job has changed, by a message or a snapshot: the curves of an earlier attempt or execution go. Those of the new
   * one may have come before.
   */
  follow(before: JobPhase, after: JobPhase): void {
    const isRetried = before.finished_at !== null && after.finished_at === null
    const isNewExecution = isRetried || (before.started_at !== null && before.started_at !== after.started_at)
    if (isNewExecution) {
      const rounds = new Set([...this.#known.values()].map(({ epoch }) => placeOf(epoch).round))
      const newest = rounds.size > 1 ? Math.max(...rounds) : null
      this.#drop(({ epoch }) => placeOf(epoch).round !== newest)
    }
    if (isNewExecution || before.attempt !== after.attempt) this.#drop(({ epoch }) => placeOf(epoch).attempt < after.attempt)
  }

  #drop(isOld: (known: Known) => boolean): void {
    for (const [name, known] of this.#known) if (isOld(known)) this.#known.delete(name)
    this.#view = undefined
  }

  #ask(name: string, from: number): void {
    if (this.#requested.has(name)) return
    this.#requested.add(name)
    this.#request(name, from)
  }
}

/** Execution and attempt that an epoch names. */
function placeOf(epoch: string): { readonly round: number; readonly attempt: number } {
  const [round, attempt] = epoch.split('.').slice(-2).map(Number)
  return { round: round ?? 0, attempt: attempt ?? 0 }
}

function curveOf({ metric_name, unit, x }: SeriesMessage, fold: SeriesFold): Curve {
  const { n, k } = fold
  let buckets: readonly Bucket[] | undefined
  return {
    metric_name,
    unit,
    x,
    n,
    k,
    get buckets() {
      buckets ??= fold.buckets()
      return buckets
    },
  }
}
