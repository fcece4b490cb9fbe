import type { KindDialect } from '../core/defined-kind.js'
import type { ComputedKindName, InputOf, ResultOf, Results } from '../core/kinds.js'
import type { FailureCode } from '../protocol/codes.js'
import type { ProcessReports, Reports, RunReports } from './reports.js'

/** What a processor sees of the job that it computes. Reports (`Reports`) are taken at once and sent in the background. */
export type Job<K extends ComputedKindName> = Reports[K] & AnyJob

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

/** Computes one job of its kind. Throws `JobFailure` for a failure that another attempt would repeat, anything else to be tried again. */
export type Processor<K extends ComputedKindName> = (input: InputOf<K>, job: Job<K>) => Promise<ResultOf<K>>

/** What a processor of a kind of one's own can report, by dialect. */
export interface OwnReports {
  run: RunReports<string>
  process: ProcessReports<Readonly<Record<string, unknown>>>
}

/** What it returns: what the final message says, beside `compute_time_s`. */
export interface OwnResults {
  run: Results['run']
  process: Readonly<Record<string, unknown>>
}

/** A job of a kind of one's own (`defineKind`), as its processor sees it. */
export type OwnJob<D extends KindDialect> = OwnReports[D] & AnyJob

/** Computes one job of a kind of one's own; as `Processor`. `I`: its input, with the defaults filled in. */
export type OwnProcessor<I, D extends KindDialect> = (input: I, job: OwnJob<D>) => Promise<OwnResults[D]>

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
