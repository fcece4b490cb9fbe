import type { FailureCode } from '../protocol/codes.js'

/** How a job ended that has no result. */
export interface JobFailure {
  /** `cancelled`, or why it failed. */
  readonly code: FailureCode | 'cancelled'
  /** For people: what the last attempt failed of. */
  readonly message: string
  /** The last lines of the log of the job, with line breaks between; empty where it has none. */
  readonly logTail: string
}

/** `JobHandle.result()` rejects with it: the job failed or was cancelled. What was wrong with a request is a `RuncastError` instead. */
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
