import type { JobEvent, Writer } from '../core/entry.js'
import type { Refused, Written } from './broker.js'

/** Where a job that goes on in steps stands. */
export interface Checkpoint {
  /** Rises by one with each `advance`, from 1; 0 is the version of none. */
  readonly version: number
  /** The round of the job that it belongs to. */
  readonly round: number
  /** Ids of the jobs that are parts of it and have not been taken in. */
  readonly parts: readonly string[]
  /** What the steps of its kind keep, as JSON. */
  readonly data: string
}

/** A checkpoint as it is written: in the round of its writer. */
export type NextCheckpoint = Omit<Checkpoint, 'round'>

/** The checkpoints of jobs that go on in steps. They live until they are dropped, or their job has expired. All members reject with `overloaded` where Redis cannot be reached. */
export interface Checkpoints {
  /** Null where there is none. */
  load(id: string): Promise<Checkpoint | null>
  /**
   * Publishes events, as a `Publisher` does, and in the same act replaces the checkpoint of version `version` - 1; refused with `stale_checkpoint` where it has another
   * one. So of two steps that saw the same checkpoint one is done, and whoever reads it knows what has been published.
   */
  advance(id: string, events: readonly JobEvent[], writer: Writer, next: NextCheckpoint): Promise<Written | Refused>
  /** Forgets the checkpoint of a round; that of a later one stays. */
  drop(id: string, round: number): Promise<void>
}
