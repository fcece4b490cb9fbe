import type { EtaState } from '../../src/core/eta.js'
import type { Checkpoint as SearchCheckpoint } from './optimizer.js'

/** The state of an optimization between two steps, as JSON in its checkpoint. */
export interface Ledger {
  readonly search: SearchCheckpoint
  readonly evaluated: number
  readonly feasible: number
  /** Evaluations without a result. */
  readonly failed: number
  /** Ids of the runs in progress, by index of the candidate. */
  readonly open: Readonly<Record<string, string>>
  /**
   * Runs that are no longer awaited: they were withdrawn and may not have ended yet, or have been counted and may not
   * be set to expire yet.
   */
  readonly leaving: readonly string[]
  /** The run in which each point of the front was found, by index. */
  readonly found: Readonly<Record<string, { readonly iteration: number; readonly run_id: string }>>
  /** When the front was last published (epoch ms), and whether it has changed since. */
  readonly front: { readonly toldAt: number; readonly hasChanged: boolean }
  /** The speed so far. Absent before the first evaluation. */
  readonly eta?: EtaState
}

export function firstLedger(search: SearchCheckpoint): Ledger {
  const nothing = { evaluated: 0, feasible: 0, failed: 0, open: {}, leaving: [], found: {} }
  return { search, ...nothing, front: { toldAt: 0, hasChanged: false } }
}

/** The child jobs of the optimization by its ledger. */
export function openChildrenOf({ open, leaving }: Ledger): string[] {
  return [...Object.values(open), ...leaving]
}
