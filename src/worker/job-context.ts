import { secondsBetween } from '../core/elapsed.js'
import type { JobEvent, Writer } from '../core/entry.js'
import { type Loggable, lineJson, loggedOf, logLines } from '../core/log-line.js'
import type { MetricPoint } from '../core/metric-point.js'
import type { Telemetry } from '../core/telemetry.js'
import { logTailOf } from '../jobs/attempt.js'
import { isOverloaded } from '../protocol/codes.js'
import type { Heartbeats, Publisher, Rejected, WriteRejection, Written } from '../storage/broker.js'
import { rejected } from './deferred.js'
import { Heartbeat } from './heartbeat.js'
import { DEFAULT_LOG_LIMITS, LogBuffer, type LogLimits } from './log-buffer.js'
import { Stop, type StopCause } from './processor.js'
import { type MetricReport, type Report, ReportQueue } from './report-queue.js'
import { asError, lineOf } from './thrown.js'
import { WorkTally } from './work-tally.js'

/** Maximum waiting events of a processor that does not await its report calls. One more fails the attempt. */
const MAX_WAITING = 10_000
const RETRY_MS = 200
/** At least as many lines as the log tail of a failed job has. */
const TAIL_LINES = 10
const UNREACHABLE_MS = 60_000
/** How long writes may fail for a job that is being stopped. */
const STOPPING_MS = 5000
/**
 * Refusals caused by the content of an event. Any other refusal, except `transition`, means that the job has another
 * writer or is over.
 */
const OF_THE_EVENTS: ReadonlySet<WriteRejection> = new Set(['too_big', 'too_many_keys', 'too_many_series'])

export interface JobContextOptions {
  readonly id: string
  /** W3C Trace Context of the attempt. */
  readonly traceparent?: string | undefined
  readonly publisher: Publisher & Heartbeats
  readonly writer: Writer
  readonly onFenced?: (reason: WriteRejection) => void
  /** The attempt ends when writes have failed for this long, in ms. The queue starts another attempt when it can. */
  readonly unreachableMs?: number | undefined
  /** Counters of reports. */
  readonly tally?: WorkTally
  /** Number of the attempt; default 1. */
  readonly attempt?: number
  /** Limits of the log of a job. */
  readonly log?: LogLimits | undefined
  /** Minimum ms between two messages of a metric; 0: each report is a message of its own. Default 100. */
  readonly metricIntervalMs?: number | undefined
  /** Curves of the attempt, if another worker began it. */
  readonly begun?: BegunSeries | undefined
}

/** What earlier workers have reported of the metrics in an attempt. */
export interface BegunSeries {
  /** Number of points by metric. */
  readonly points: ReadonlyMap<string, number>
  /** The last x in seconds; later ones continue from there. */
  readonly seconds: number
}

/**
 * hop 2: from processor to publisher. Accepts reports at once and sends them in the background, one write at a time. A
 * failed write is repeated with the same number. The log always holds every report up to some point. If a report after
 * that point is dropped, `givenUp` says why, and the attempt must not end as if nothing were missing.
 */
export class JobContext {
  readonly id: string
  readonly traceparent: string | undefined
  readonly #publisher: Publisher & Heartbeats
  readonly #tally: WorkTally
  readonly #onFenced: (reason: WriteRejection) => void
  readonly #unreachableMs: number
  readonly #stop = new AbortController()
  readonly #kill = new AbortController()
  readonly #heartbeat = new Heartbeat()
  /** By the monotonic clock. */
  readonly #startedAt = performance.now()
  #logTail: readonly string[] = []
  readonly #attempt: number
  readonly #lines: LogBuffer
  readonly #waiting: ReportQueue
  readonly #secondsBefore: number
  #writer: Writer
  #pump: Promise<void> | undefined
  /** Starts the next write of what is not due yet. */
  #timer: NodeJS.Timeout | undefined
  #closed = false
  /** When writes began to fail, in ms; null while they succeed. */
  #failingSince: number | null = null
  #givenUp: Stop | undefined
  #isDisabled = false
  #isFenced = false
  #hasWritten = false

  /** `onFenced` is called once, when the job turns out to have another writer or to be over. */
  constructor(options: JobContextOptions) {
    this.id = options.id
    this.traceparent = options.traceparent
    this.#publisher = options.publisher
    this.#writer = options.writer
    this.#tally = options.tally ?? new WorkTally()
    this.#onFenced = options.onFenced ?? (() => {})
    this.#unreachableMs = options.unreachableMs ?? UNREACHABLE_MS
    this.#attempt = options.attempt ?? 1
    this.#lines = new LogBuffer(options.log ?? DEFAULT_LOG_LIMITS)
    this.#waiting = new ReportQueue(options.metricIntervalMs, options.begun?.points)
    this.#secondsBefore = options.begun?.seconds ?? 0
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Aborted when the processor did not obey its signal in time. */
  get killed(): AbortSignal {
    return this.#kill.signal
  }

  /** Reports that wait to be written. */
  get buffered(): number {
    return this.#waiting.size
  }

  /** Why reports of the processor were dropped. Undefined while none was dropped. */
  get givenUp(): Stop | undefined {
    return this.#givenUp
  }

  get elapsedSeconds(): number {
    return secondsBetween(this.#startedAt, performance.now())
  }

  get logTail(): string {
    return this.#logTail.join('\n')
  }

  /** Adds lines to the log of the job. Never throws. Lines that the limits would drop at once are not sent. */
  log(value: Loggable): void {
    if (this.#closed) return
    const { level, text } = loggedOf(value, lineOf)
    const lines = logLines(text, { level, attempt: this.#attempt })
    this.#logTail = logTailOf([...this.#logTail, ...lines.slice(-TAIL_LINES).map((line) => line.text)])
    if (this.#isDisabled) return
    for (const line of lines) this.#lines.add(lineJson(line))
    if (!this.#pump) this.#schedule()
  }

  stop(cause: StopCause): void {
    this.#abort(new Stop(cause))
  }

  kill(): void {
    this.#kill.abort(this.signal.reason)
  }

  /** Records a sign of life of a processor that computes in another thread or process. */
  alive(): void {
    this.#heartbeat.sign()
  }

  /**
   * Starts the heartbeat of a job that is silent. It also detects a cancel that was not received, and another writer.
   */
  startHeartbeat(): void {
    this.#heartbeat.start((alive) => {
      const isQuiet = !this.#hasWritten && !this.#pump
      this.#hasWritten = false
      if (isQuiet) void this.#heartbeatOnce(alive)
    })
  }

  /** Waits for persisted events, metrics and log lines. A transient event that is not due yet is not awaited. */
  async flush(): Promise<void> {
    this.#lines.flushNow()
    this.#waiting.flushMetrics()
    if (this.#lines.size + this.#waiting.size > 0) this.#startPump()
    while (this.#pump) await this.#pump
  }

  /** The processor has ended, and later reports are dropped. Resolves when its reports have been written. */
  close(): Promise<void> {
    this.#closed = true
    this.#heartbeat.stop()
    return this.#flushAll()
  }

  /** Writes events of the runner itself, after all reports. Resolves to the reason of a refusal, or null. */
  async write(events: readonly JobEvent[]): Promise<WriteRejection | 'unreachable' | null> {
    await this.#flushAll()
    const answer = await this.#publish(events)
    return answer === 'unreachable' ? answer : this.#applyAnswer(answer)
  }

  async #flushAll(): Promise<void> {
    do {
      this.#waiting.flushNow()
      this.#lines.flushNow()
      await this.#startPump()
    } while (this.#pump || this.#waiting.size + this.#lines.size > 0)
  }

  /**
   * Accepts an event of the processor. A processor that should stop may still report, since its result may stand. Never
   * throws. Resolves when there is room for another report, or the job is stopped meanwhile. Rejects if the event
   * cannot be built, or reports were given up. An unhandled rejection is ignored.
   */
  report(make: () => JobEvent): Promise<void> {
    return this.#accept(() => {
      this.#take(make())
      return true
    })
  }

  /**
   * Accepts a point of a metric, as `report` does. Points that come faster than messages of a metric may leave are sent
   * together. `eventOf`: the entry that reports a point, if any. `at`: when it was made, as `reportTime` returns it.
   */
  point(make: () => MetricPoint, eventOf: (point: MetricPoint) => JobEvent | null, at = reportTime()): Promise<void> {
    return this.#accept(() => this.#takePoint({ point: make(), seconds: this.#secondsAt(at), eventOf }))
  }

  /** `take` returns whether something waits that did not wait before. */
  #accept(take: () => boolean): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#givenUp) return rejected(this.#givenUp)
    let isMore = true
    try {
      isMore = take()
    } catch (error) {
      const why = error instanceof Stop ? error : new Stop('refused', { cause: asError(error) })
      this.#giveUp(why)
      return rejected(asError(error))
    }
    if (isMore) this.#startPump()
    return this.#waiting.room()
  }

  /** Throws if the maximum of waiting events is reached. */
  #take(event: JobEvent): void {
    if (event.class !== 'transient') this.#assertRoom()
    if (event.class === 'transient') this.#tally.transients += 1
    else this.#tally.persisted += 1
    if (this.#waiting.add(event)) this.#tally.coalesced += 1
  }

  /** Returns whether it is sent by itself, and not with earlier points. */
  #takePoint(report: MetricReport): boolean {
    this.#assertRoom()
    const isCoalesced = this.#waiting.addPoint(report)
    if (isCoalesced) this.#tally.coalesced += 1
    else this.#tally.persisted += 1
    return !isCoalesced
  }

  #assertRoom(): void {
    if (this.#waiting.size < MAX_WAITING) return
    if (this.#failingSince !== null) throw new Stop('unreachable')
    throw new Error(`more than ${MAX_WAITING} reports wait to be written: await the report calls`)
  }

  /** Seconds since the start of the attempt, to the microsecond. */
  #secondsAt(at: number): number {
    const seconds = this.#secondsBefore + Math.max(0, at - performance.timeOrigin - this.#startedAt) / 1000
    return Math.round(seconds * 1e6) / 1e6
  }

  #startPump(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pump ??= this.#drain().finally(() => {
      this.#pump = undefined
      // Only transient events and log lines that are not due can be left.
      this.#schedule()
    })
    return this.#pump
  }

  /** Starts the pump when the first waiting report is due. */
  #schedule(): void {
    const events = this.#waiting.size > 0 ? this.#waiting.dueInMs : Number.POSITIVE_INFINITY
    const lines = this.#lines.size > 0 ? this.#lines.dueInMs : Number.POSITIVE_INFINITY
    const dueInMs = Math.min(events, lines)
    if (dueInMs === 0) void this.#startPump()
    else if (dueInMs !== Number.POSITIVE_INFINITY) this.#timer ??= setTimeout(() => void this.#startPump(), Math.max(dueInMs, 1))
  }

  async #drain(): Promise<void> {
    for (;;) {
      // One microtask later, so that reports made together are sent together.
      await Promise.resolve()
      const batch = this.#waiting.takeBatch()
      const lines = this.#lines.take()
      if (batch.length === 0 && !lines) return
      await this.#send(batch, lines ? [lines] : [])
      this.#waiting.written()
    }
  }

  /**
   * Writes reports. If one of a batch is refused, the reports before it are kept. Resolves to whether all were written.
   */
  async #send(reports: readonly Report[], lines: readonly Telemetry[] = []): Promise<boolean> {
    if (this.#isDisabled) return false
    try {
      const events = reports.flatMap(({ event }) => event ?? [])
      const answer = await this.#publish(events, [...reports.flatMap(({ points }) => points ?? []), ...lines])
      if (answer === 'unreachable') return false
      if (answer.ok || !OF_THE_EVENTS.has(answer.reason)) return this.#applyAnswer(answer) === null
      // The refused write has left nothing, so the log lines are written first, without the events.
      if (lines.length > 0 && !(await this.#send([], lines))) return false
      if (reports.length === 1) this.#disable(new Stop('refused', { cause: new Error(answer.text ?? answer.reason) }))
      else for (const report of reports) if (!(await this.#send([report]))) break
    } catch (error) {
      // Not an error of Redis, so it would fail again.
      this.#disable(new Stop('refused', { cause: asError(error) }))
    }
    return false
  }

  /** Rejects further reports. Waiting reports are still written. */
  #giveUp(why: Stop): void {
    this.#givenUp ??= why
    this.#abort(why)
  }

  /** Drops waiting reports too: a gap is always at the end of the log, never in the middle. */
  #disable(why: Stop): void {
    this.#isDisabled = true
    this.#giveUp(why)
    this.#waiting.clear(why)
    this.#lines.clear()
  }

  #abort(why: Stop): void {
    if (this.signal.aborted) return
    // Before the callers that wait for room continue, so that they see it.
    this.#stop.abort(why)
    if (!this.#givenUp) this.#waiting.release()
  }

  /** Rejects with any error that is not an outage of Redis. */
  async #publish(events: readonly JobEvent[], telemetry: readonly Telemetry[] = []): Promise<Written | Rejected | 'unreachable'> {
    if (this.#isUnreachable) return 'unreachable'
    this.#writer = { ...this.#writer, n: this.#writer.n + 1 }
    for (;;) {
      try {
        const answer = await this.#publisher.publish(this.id, events, this.#writer, telemetry)
        this.#failingSince = null
        this.#hasWritten = true
        return answer
      } catch (error) {
        if (!isOverloaded(error)) throw error
        // Redis cannot be reached, or refuses the write. The number stays the same, so the write takes effect once,
        // however often it arrives.
        this.#failingSince ??= performance.now()
        const patience = this.signal.aborted ? Math.min(STOPPING_MS, this.#unreachableMs) : this.#unreachableMs
        if (performance.now() - this.#failingSince > patience) {
          this.#disable(new Stop('unreachable'))
          return 'unreachable'
        }
        this.#tally.retries += 1
        await pause(RETRY_MS)
      }
    }
  }

  get #isUnreachable(): boolean {
    return this.#isDisabled && this.#givenUp?.why === 'unreachable'
  }

  /** A lost heartbeat is made up for by the next one. */
  async #heartbeatOnce(alive: boolean): Promise<void> {
    try {
      this.#applyAnswer(await this.#publisher.heartbeat(this.id, this.#writer, alive))
    } catch (error) {
      if (!isOverloaded(error)) this.#giveUp(new Stop('refused', { cause: asError(error) }))
    }
  }

  /** Applies what an answer says about the job. Returns the reason of a refusal, or null. */
  #applyAnswer(answer: Written | Rejected): WriteRejection | null {
    if (answer.status === 'cancelling') this.stop('cancelled')
    if (answer.ok) return null
    if (!OF_THE_EVENTS.has(answer.reason) && answer.reason !== 'transition') this.#fence(answer.reason)
    return answer.reason
  }

  #fence(reason: WriteRejection): void {
    this.#disable(new Stop('lost'))
    this.#heartbeat.stop()
    if (!this.#isFenced) this.#onFenced(reason)
    this.#isFenced = true
  }
}

/** A time for `JobContext.point`, the same in all threads of a process, in ms. */
export function reportTime(): number {
  return performance.timeOrigin + performance.now()
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
