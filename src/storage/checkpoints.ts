import type { JobEvent, Writer } from '../core/entry.js'
import type { Telemetry } from '../core/telemetry.js'
import type { Rejected, Written } from './broker.js'

/** Progress of a job that runs in steps. */
export interface Checkpoint {
  /** Incremented by each `advance`, starting at 1. Version 0 means that there is no checkpoint. */
  readonly version: number
  /** Number of the execution that the checkpoint belongs to. */
  readonly round: number
  /** Ids of the child jobs whose results have not been used yet. */
  readonly children: readonly string[]
  /** State of the steps, as JSON. Its content depends on the kind. */
  readonly data: string
}

/** A checkpoint to write. Its round is that of the writer. */
export type NextCheckpoint = Omit<Checkpoint, 'round'>

/**
 * Checkpoints of jobs that run in steps. A checkpoint lives until it is dropped or its job expires. All methods reject
 * with `overloaded` if Redis cannot be reached.
 */
export interface Checkpoints {
  /** Null if there is no checkpoint. */
  load(id: string): Promise<Checkpoint | null>
  /**
   * Publishes events and telemetry as `Publisher.publish` does and, in the same atomic operation, replaces the
   * checkpoint of version `version` - 1. Returns `stale_checkpoint` if the stored version differs. If two steps start
   * from the same checkpoint, only one of them succeeds, and a reader of the checkpoint knows what has been published.
   */
  advance(
    id: string,
    events: readonly JobEvent[],
    writer: Writer,
    next: NextCheckpoint,
    telemetry?: readonly Telemetry[],
  ): Promise<Written | Rejected>
  /** Deletes the checkpoint of this execution. The checkpoint of a later execution remains. */
  drop(id: string, round: number): Promise<void>
}
