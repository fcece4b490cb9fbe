import { type Dialect, processDialect, processView, runDialect } from './dialect.js'
import { messageOf } from './entry.js'
import type { JobState } from './job-state.js'

/** Each job in the dialect of its kind, in which it is stored: the bytes of its entries go through untouched. */
export const nativeDialect: Dialect = {
  snapshot: (state, flags) => (state.kind.dialect === 'run' ? runDialect : processDialect).snapshot(state, flags),
  body: (entry) => entry.body,
  message: messageOf,
}

/** The last-known state of a job of any kind: what every process has, by the name of its kind, and its final message in the dialect of its kind. */
export function jobView(state: JobState): Readonly<Record<string, unknown>> {
  const { process_id: id, process_type: _type, status, attempt, ...rest } = processView(state)
  const final = state.latest.get('final')
  return {
    ...{ id, kind: state.kind.name, owner: state.owner, solver: state.solver, status, attempt, ...rest },
    final: final ? messageOf(final) : null,
  }
}
