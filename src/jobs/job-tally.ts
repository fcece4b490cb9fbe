import { Durations, Tally } from '../core/tally.js'
import type { FailureCode } from '../protocol/codes.js'
import type { FinalStatus } from '../protocol/status.js'

/**
 * Which process noticed the end of an execution: its worker, the queue's events, the sweeper, or the process that
 * cancelled it while it waited.
 */
export type FinalSource = 'worker' | 'queue' | 'sweeper' | 'cancel'

export interface Final {
  readonly job: string
  /** The name of the kind. */
  readonly kind: string
  readonly round: number
  readonly status: FinalStatus
  readonly source: FinalSource
  /** The trace of its submit. */
  readonly trace_id?: string
  /** Cancelled by force, since the processor did not obey. */
  readonly forced?: boolean
  /** Of a failed execution. */
  readonly code?: FailureCode
  /** Of a failed execution whose kind has codes of its own. */
  readonly own_code?: string
  /** Of a cancelled execution: time from the request to the end, in ms. */
  readonly cancelMs?: number
}

/** Sources that can detect a lost worker. */
const NOTICING_LOSS: readonly FinalSource[] = ['worker', 'queue', 'sweeper']

/** Counters of jobs in this process, by kind. */
export class JobTally {
  readonly submitted = new Tally<[kind: string]>()
  /** New executions. */
  readonly retried = new Tally<[kind: string]>()
  readonly cancels = new Tally<[kind: string]>()
  /** The code of a failure, otherwise empty. */
  readonly finals: Tally<[kind: string, FinalStatus, FinalSource, FailureCode | '']>
  readonly forced: Tally<[kind: string]>
  /** Time from the cancel request of a job to its end. */
  readonly cancelling = new Durations<[kind: string]>()

  /** `kinds`: names of the kinds whose counters start at 0. */
  constructor(kinds: readonly string[]) {
    this.finals = new Tally(
      kinds.flatMap((kind) =>
        NOTICING_LOSS.map((source): [string, FinalStatus, FinalSource, FailureCode] => [kind, 'failed', source, 'worker_lost']),
      ),
    )
    this.forced = new Tally(kinds.map((kind) => [kind]))
  }

  /** Counts the end of a job. */
  ended({ kind, status, source, code, forced, cancelMs }: Final): void {
    this.finals.add(kind, status, source, code ?? '')
    if (forced) this.forced.add(kind)
    if (cancelMs !== undefined) this.cancelling.add(cancelMs, kind)
  }
}
