import { RuncastError } from '../protocol/codes.js'
import type { Status } from '../protocol/status.js'
import type { ListFilter, Phase } from '../storage/job-store.js'

/** What a list is asked for, with the names of the wire. */
export interface ListQuery {
  /** A status, or `active` or `final` for all of its kind. */
  readonly status?: Phase | Status | undefined
  readonly tag?: string | undefined
  /** The id of a parent, or `none`. */
  readonly parent?: string | undefined
  /** ISO 8601. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly title?: string | undefined
}

/** The phase and the filter of a query. Throws `invalid` for a time that is none; `at` begins its path. */
export function filterOf(query: ListQuery, at: string): { readonly phase?: Phase; readonly filter: ListFilter } {
  const { status, tag, parent, since, until, title } = query
  const isPhase = status === 'active' || status === 'final'
  const filter = {
    ...(status !== undefined && !isPhase && { status }),
    ...(tag !== undefined && { tag }),
    ...(parent !== undefined && { parent: parent === 'none' ? null : parent }),
    ...(since !== undefined && { since: timeOf(`${at}/since`, since) }),
    ...(until !== undefined && { until: timeOf(`${at}/until`, until) }),
    ...(title !== undefined && { title }),
  }
  return { ...(isPhase && { phase: status }), filter }
}

function timeOf(path: string, text: string): number {
  const ms = Date.parse(text)
  if (!Number.isNaN(ms)) return ms
  throw new RuncastError('invalid', { issues: [{ path, expected: 'a time in ISO 8601' }] })
}
