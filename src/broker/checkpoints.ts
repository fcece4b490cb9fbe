import type { JobEvent, Writer } from '../protocol/entry.js'
import type { Refused, Written } from './broker.js'

/** Where a job that goes on in steps stands. */
export interface Checkpoint {
  /** Rises by one with each `advance`, from 1; 0 is the version of none. */
  readonly version: number
  /** Ids of the jobs that are parts of it and have not been taken in. */
  readonly parts: readonly string[]
  /** What the steps of its kind keep, as JSON. */
  readonly data: string
}

/** The checkpoints of jobs that go on in steps. They live as long as their job is active. All members reject with `overloaded` where Redis cannot be reached. */
export interface Checkpoints {
  /** Null where there is none. */
  load(id: string): Promise<Checkpoint | null>
  /**
   * Publishes events, as a `Publisher` does, and in the same act replaces the checkpoint of version `version` - 1; refused with `stale_checkpoint` where it has another
   * one. So of two steps that saw the same checkpoint one is done, and whoever reads it knows what has been published.
   */
  advance(id: string, events: readonly JobEvent[], writer: Writer, next: Checkpoint): Promise<Written | Refused>
  drop(id: string): Promise<void>
}
