import type { Entry } from './entry.js'
import type { JobState } from './job-state.js'
import { KINDS } from './kinds.js'

/** Which way a snapshot came about: `recovered`, what was missed follows exactly; `resync`, this client was too slow and its backlog was dropped. */
export interface SnapshotFlags {
  readonly recovered: boolean
  readonly resync?: true
}

/** How entries and states become messages of one protocol. The hub knows no other meaning. */
export interface Dialect {
  snapshot(state: JobState, flags: SnapshotFlags): Readonly<Record<string, unknown>>
  /** The message of an entry as UTF-8 JSON, or null where the dialect has none for it. */
  body(entry: Entry): Buffer | null
}

/** `run-protocol.md`: entries are stored as its messages, so the bytes go through untouched. */
export const runDialect: Dialect = {
  snapshot: (state, flags) => ({ ...KINDS[state.kind].snapshot(state), ...flags }),
  body: (entry) => entry.body,
}
