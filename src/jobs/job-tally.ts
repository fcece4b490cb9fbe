import { KIND_NAMES, type KindName } from '../core/kinds.js'
import { Durations, Tally } from '../core/tally.js'
import type { FailureCode } from '../protocol/codes.js'
import type { FinalStatus } from '../protocol/status.js'
import type { Final, FinalSource } from './finalize.js'

/** Who may find that a worker is lost. */
const NOTICING_LOSS: readonly FinalSource[] = ['worker', 'queue', 'sweeper']

/** What this process has done with jobs. */
export class JobTally {
  readonly submitted = new Tally<[KindName]>()
  /** New rounds. */
  readonly retried = new Tally<[KindName]>()
  readonly cancels = new Tally<[KindName]>()
  /** The code is that of a failure, else empty. */
  readonly finals = new Tally<[KindName, FinalStatus, FinalSource, FailureCode | '']>(
    KIND_NAMES.flatMap((kind) =>
      NOTICING_LOSS.map((source): [KindName, FinalStatus, FinalSource, FailureCode] => [kind, 'failed', source, 'worker_lost']),
    ),
  )
  readonly forced = new Tally<[KindName]>(KIND_NAMES.map((kind) => [kind]))
  /** From the cancel of a job to its end. */
  readonly cancelling = new Durations<[KindName]>()

  /** Counts the end of a job. */
  ended({ kind, status, source, code, forced, cancelMs }: Final): void {
    this.finals.add(kind, status, source, code ?? '')
    if (forced) this.forced.add(kind)
    if (cancelMs !== undefined) this.cancelling.add(cancelMs, kind)
  }
}
