import type { KindDialect } from '../core/kind.js'
import type { Loggable } from '../core/log-line.js'
import { type AnyFailureCode, type FailureRetry, failureCodeFault, MAX_RETRY_DELAY_MS } from '../protocol/failure.js'
import { shown } from '../protocol/json-value.js'
import type { ProcessProgress } from '../protocol/process-messages.js'

/**
 * hop 1: from processor to job-context.
 *
 * The reports of a processor in the run dialect. A report is accepted at once and sent in the background. Its promise
 * resolves when there is room for more, so a processor that awaits it is never faster than Redis. A processor that does
 * not await fails when more than 10,000 reports wait. The promise rejects if the report cannot be published: the
 * attempt has failed then, whatever the processor does. It need not be awaited.
 */
export interface RunReports {
  /**
   * Transient: replaced by the next one; at most 10 per second leave the worker. `percent` is clamped to 0 to 100, and
   * `message` is cut after 1000 characters. A `phase` that the kind does not have leaves the last phase.
   */
  progress(at: { percent: number; phase: string; message: string }): Promise<void>
  /**
   * A point of the curve of a metric, at any rate. The curve holds every point, exactly or in buckets with their first,
   * last, least and greatest value. The newest value is a persisted entry, delivered in order: at most 10 per second
   * and metric; points that come faster are sent together. `name` has 1 to 128 characters without control characters;
   * `value` is finite. `options`: the unit alone, or with the step.
   */
  metric(name: string, value: number, options?: MetricOptions | string): Promise<void>
}

export interface MetricOptions {
  /** Cut after 32 characters. */
  readonly unit?: string
  /** The x of the point, a finite number. Default: the seconds since the start of the attempt. */
  readonly step?: number
}

/** The reports of a processor in the process dialect; otherwise as `RunReports`. */
export interface ProcessReports {
  /** Transient, as in the run dialect: `current` of `total` steps. A `total` of null or 0 means unknown. */
  progress(at: ProcessProgress): Promise<void>
  /** A persisted intermediate result, delivered in order. It is copied as JSON at once. */
  result(result: Readonly<Record<string, unknown>>): Promise<void>
  /** A point of the curve of a metric, as in the run dialect, but without an entry: only the curve has it. */
  metric(name: string, value: number, options?: MetricOptions | string): Promise<void>
}

/** Reports by dialect. */
export interface Reports {
  run: RunReports
  process: ProcessReports
}

/** The result of a processor by dialect: the content of the final event, besides `compute_time_s`. */
export interface Results {
  run: { metrics_summary: Record<string, number> }
  process: Readonly<Record<string, unknown>>
}

/** A job as its processor sees it, with the reports of its kind's dialect. */
export type Job<D extends KindDialect> = Reports[D] & AnyJob

/**
 * The content of an artifact. `path`: a regular file in the folder of the job, after links are resolved; a relative
 * path begins there. `url`: a link to http(s) content elsewhere, which is not requested. `mediaType`: default by the
 * extension of the name. `optional`: a failure is only logged.
 */
export type ArtifactContent = ({ readonly path: string } | { readonly data: string | Uint8Array } | { readonly url: string }) & {
  readonly mediaType?: string
  readonly optional?: boolean
}

/** A job of any dialect as its processor sees it. */
export interface AnyJob {
  readonly id: string
  /** W3C Trace Context: the parent of its spans, in the trace of the submit; undefined without one. */
  readonly traceparent?: string | undefined
  /** Aborted with a `Stop`. A processor checks it at least every 50 ms and then throws `signal.reason`. */
  readonly signal: AbortSignal
  /** Resolves when all reports so far have been written or given up. */
  flush(): Promise<void>
  /**
   * Adds a line to the log of the job: a text, or a text with its level (`debug`, `info`, `warn`, `error`). A text of
   * several lines is as many lines; a line is cut after 8 KiB. Nothing waits for it, and it may be called at any rate:
   * the log keeps the newest lines. The last ten go into the error message if the job fails.
   */
  log(line: Loggable): void
  /**
   * Stores a file with the job: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, the same name again replaces it. It belongs to this
   * attempt and is removed with the job. Resolves when it is stored. If that fails, it rejects and the attempt fails,
   * whatever the processor does, unless it is `optional`.
   */
  artifact(name: string, content: ArtifactContent): Promise<void>
  /** A folder for files of this attempt, created empty by the first call and removed after the attempt. */
  folder(): Promise<string>
  /**
   * For a processor that computes in another thread or process: aborted when it has not obeyed `signal` in time. It
   * must then be ended by force.
   */
  readonly killed: AbortSignal
  /**
   * For the same processors: reports a sign of life of the computation, at least once a second. A processor that never
   * calls this computes in this event loop, and the running loop is the sign.
   */
  alive(): void
}

/**
 * Computes one job of its kind. `I`: its input, with the defaults filled in. It throws `JobFailure` for a failure that
 * another attempt would repeat, or that has a code of its own, and any other error for a retry.
 */
export type Processor<I, D extends KindDialect> = (input: I, job: Job<D>) => Promise<Results[D]>

/** A processor of any kind: the runner gives it only jobs of its own kind. */
export type AnyProcessor = (input: never, job: never) => Promise<object>

/**
 * A failure caused by the job itself. `code`: one of `FAILURE_CODES`, or a code of your own, `[a-z][a-z0-9_]{0,63}` and
 * no other code of this package; the final message has it. It is final, unless `retry` asks for another attempt: `true`
 * after the usual delay, or after `delayMs`, an integer from 0 to 24 hours. Throws `TypeError` for another code or
 * delay.
 */
export class JobFailure extends Error {
  readonly code: AnyFailureCode
  readonly retry: FailureRetry

  constructor(code: AnyFailureCode, message: string, { retry = false, ...options }: ErrorOptions & { readonly retry?: FailureRetry } = {}) {
    const fault = failureCodeFault(String(code))
    if (fault !== null) throw new TypeError(`code of a JobFailure: expected ${fault}, not ${shown(code)}`)
    if (typeof retry === 'object' && !isRetryDelay(retry.delayMs))
      throw new TypeError(`delayMs of a JobFailure: expected an integer from 0 to ${MAX_RETRY_DELAY_MS}, not ${shown(retry.delayMs)}`)
    super(message, options)
    this.name = 'JobFailure'
    this.code = code
    this.retry = retry
  }
}

function isRetryDelay(ms: unknown): boolean {
  return Number.isInteger(ms) && Number(ms) >= 0 && Number(ms) <= MAX_RETRY_DELAY_MS
}

/**
 * Why a job's signal was aborted. `lost`: the execution has another writer, or is over. `unreachable`: reports could
 * not be written for too long. `refused`: a report cannot be published; the cause of the `Stop` says why.
 */
export type StopCause = 'cancelled' | 'timeout' | 'lost' | 'stopping' | 'unreachable' | 'refused'

export class Stop extends Error {
  readonly why: StopCause
  declare readonly cause?: Error

  constructor(why: StopCause, options?: { readonly cause: Error }) {
    super(`the job was stopped: ${options?.cause.message ?? why}`, options)
    this.name = 'Stop'
    this.why = why
  }
}
