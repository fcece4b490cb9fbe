import type { Checkpoint as SearchCheckpoint } from './optimizer.js'

/** What an optimization keeps between two steps, as JSON in its checkpoint. */
export interface Ledger {
  readonly search: SearchCheckpoint
  readonly evaluated: number
  readonly feasible: number
  /** Evaluations of which nothing is known. */
  readonly failed: number
  /** Candidates of which a run is under way, by index: its id. */
  readonly open: Readonly<Record<string, string>>
  /** Runs that are not waited for any more: they were taken back and may not have ended yet, or are iterations by now and may not expire soon yet. */
  readonly leaving: readonly string[]
  /** Where each point of the front was found, by index. */
  readonly found: Readonly<Record<string, { readonly iteration: number; readonly run_id: string }>>
  /** When the front was told last (epoch ms), and whether it has changed since. */
  readonly front: { readonly toldAt: number; readonly hasChanged: boolean }
}

export function firstLedger(search: SearchCheckpoint): Ledger {
  const nothing = { evaluated: 0, feasible: 0, failed: 0, open: {}, leaving: [], found: {} }
  return { search, ...nothing, front: { toldAt: 0, hasChanged: false } }
}

/** The jobs that are parts of the optimization as its ledger says. */
export function partsOf({ open, leaving }: Ledger): string[] {
  return [...Object.values(open), ...leaving]
}
