import type { KindDialect } from '../core/kind.js'
import type { FailureCode } from '../protocol/codes.js'
import type { ProcessProgress } from '../protocol/process-messages.js'

/**
 * What a processor can report in the run dialect. A report is taken at once and sent in the background. Its promise resolves when there is room for more, so a
 * processor that awaits it is never faster than Redis; one that does not fails where more than 10,000 reports wait. It rejects where the report cannot be
 * published: the attempt has failed then, whatever the processor does. It need not be awaited.
 */
export interface RunReports {
  /**
   * Transient: superseded by the next one, at most 10 a second leave the worker. `percent` is 0 to 100; it is clamped, `message` is cut after 1000 characters,
   * and a `phase` that the kind does not have leaves the last one.
   */
  progress(at: { percent: number; phase: string; message: string }): Promise<void>
  /** A persisted measurement, delivered in order. `name` has 1 to 128 characters, none of them a control character; `value` is finite; `unit` is cut after 32 characters. */
  metric(name: string, value: number, unit: string): Promise<void>
}

/** What a processor can report in the process dialect, as `RunReports`. */
export interface ProcessReports {
  /** Transient, as of a run: `current` of `total` steps. A `total` of null, or 0, is not known yet. */
  progress(at: ProcessProgress): Promise<void>
  /** A persisted result on the way, delivered in order. It is copied as JSON at once. */
  result(result: Readonly<Record<string, unknown>>): Promise<void>
}

/** What a processor can report, by dialect. */
export interface Reports {
  run: RunReports
  process: ProcessReports
}

/** What it returns, by dialect: what the final message says, beside `compute_time_s`. */
export interface Results {
  run: { metrics_summary: Record<string, number> }
  process: Readonly<Record<string, unknown>>
}

/** A job as its processor sees it, with what it can report in the dialect of its kind. */
export type Job<D extends KindDialect> = Reports[D] & AnyJob

/** What a processor sees of any job. */
export interface AnyJob {
  readonly id: string
  /** Aborted with a `Stop`. A processor checks it at least every 50 ms and then throws `signal.reason`. */
  readonly signal: AbortSignal
  /** Resolves when what was reported so far has been written, or is given up. */
  flush(): Promise<void>
  /** A line of the job's log; the last ten go into the error message if the job fails. */
  log(line: string): void
  /** For a processor that computes elsewhere: aborted when it has not obeyed `signal` in time. It is to be ended by force then. */
  readonly killed: AbortSignal
  /** For the same: a sign of life from where it computes, at least once a second. Whoever never gives one computes in this event loop, whose turning is the sign. */
  alive(): void
}

/**
 * Computes one job of its kind. `I`: its input, with the defaults filled in. Throws `JobFailure` for a failure that another attempt would repeat, anything else to
 * be tried again.
 */
export type Processor<I, D extends KindDialect> = (input: I, job: Job<D>) => Promise<Results[D]>

/** A processor of whatever kind: the runner gives it the jobs of its own. */
export type AnyProcessor = (input: never, job: never) => Promise<object>

/** A failure that is the job's own and final: no automatic retry. */
export class JobFailure extends Error {
  readonly code: FailureCode

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'JobFailure'
    this.code = code
  }
}

/**
 * Why a job's signal was aborted. `lost`: the round has another writer, or is over; `unreachable`: its reports could not be written for too long; `refused`: one
 * of its reports cannot be published, and the cause of the `Stop` says why.
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
