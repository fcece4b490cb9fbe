import { Durations, Tally } from '../core/tally.js'
import type { FailureCode } from '../protocol/codes.js'
import type { FinalStatus } from '../protocol/status.js'

/** Who noticed that a round has ended: the hook of its worker, news of the queue, the sweeper, or whoever cancelled it while it waited. */
export type FinalSource = 'worker' | 'queue' | 'sweeper' | 'cancel'

export interface Final {
  readonly job: string
  /** Its name. */
  readonly kind: string
  readonly round: number
  readonly status: FinalStatus
  readonly source: FinalSource
  /** Cancelled, by the end of a processor that did not obey. */
  readonly forced?: boolean
  /** Of a failure. */
  readonly code?: FailureCode
  /** Cancelled: how long that took since somebody asked for it. */
  readonly cancelMs?: number
}

/** Who may find that a worker is lost. */
const NOTICING_LOSS: readonly FinalSource[] = ['worker', 'queue', 'sweeper']

/** What this process has done with jobs, by the names of their kinds. */
export class JobTally {
  readonly submitted = new Tally<[kind: string]>()
  /** New rounds. */
  readonly retried = new Tally<[kind: string]>()
  readonly cancels = new Tally<[kind: string]>()
  /** The code is that of a failure, else empty. */
  readonly finals: Tally<[kind: string, FinalStatus, FinalSource, FailureCode | '']>
  readonly forced: Tally<[kind: string]>
  /** From the cancel of a job to its end. */
  readonly cancelling = new Durations<[kind: string]>()

  /** `kinds`: names of those that are counted from the start, with 0. */
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
