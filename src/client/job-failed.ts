import type { AnyFailureCode } from '../protocol/failure.js'

/** Why a job has no result. */
export interface JobFailure {
  /** `cancelled`, or the cause of the failure: a `FailureCode`, or a code of the kind's own. */
  readonly code: AnyFailureCode | 'cancelled'
  /** For people: the error of the last attempt. */
  readonly message: string
  /** The last lines of the job's log, separated by line breaks; empty if there are none. */
  readonly logTail: string
}

/**
 * The rejection of `JobHandle.result()`: the job failed or was cancelled. Errors of a request are `RuncastError`
 * instead.
 */
export class JobFailed extends Error implements JobFailure {
  override readonly name: string = 'JobFailed'
  readonly id: string
  readonly code: JobFailure['code']
  readonly logTail: string

  constructor(id: string, { code, message, logTail }: JobFailure) {
    super(message)
    this.id = id
    this.code = code
    this.logTail = logTail
  }
}
