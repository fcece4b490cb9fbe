import type { FailureCode } from '../src/protocol/codes.js'
import type { InputOf, KindName, PhaseOf, ResultOf } from '../src/protocol/kinds.js'

/** What a processor sees of the job that it computes. Reports are taken at once and sent in the background: they never block the computation. */
export interface Job<K extends KindName> {
  readonly id: string
  /** Aborted when the job is cancelled, its lock is lost or the worker stops. A processor checks it at least every 50 ms and then throws `signal.reason`. */
  readonly signal: AbortSignal
  /** A tick: superseded by the next one, at most 10 a second leave the worker. `percent` is 0 to 100. */
  progress(at: { percent: number; phase: PhaseOf<K>; message: string }): void
  /** A durable measurement, delivered in order. `name` is `[a-z][a-z0-9_]*`; `value` is finite. */
  metric(name: string, value: number, unit: string): void
  /** Resolves when what was reported so far has been written. Awaited now and then by a processor that reports faster than Redis takes it: at most 10,000 reports may wait. */
  flush(): Promise<void>
  /** A line of the job's log; the last ten go into the error message if the job fails. */
  log(line: string): void
}

/** Computes one job of its kind. Throws `JobFailure` for a failure that another attempt would repeat, anything else to be tried again. */
export type Processor<K extends KindName> = (input: InputOf<K>, job: Job<K>) => Promise<ResultOf<K>>

/** A failure that is the job's own and final: no automatic retry. */
export class JobFailure extends Error {
  readonly code: FailureCode

  constructor(code: FailureCode, message: string) {
    super(message)
    this.name = 'JobFailure'
    this.code = code
  }
}
