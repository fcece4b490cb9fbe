import { type Dialect, processDialect, processView, runDialect } from './dialect.js'
import { messageOf } from './entry.js'
import type { JobBrief } from './job-state.js'
import { isOwned } from './solver.js'

/** The dialect of the kind of each job. Entries are stored in it, so their bytes are sent unchanged. */
export const nativeDialect: Dialect = {
  snapshot: (state, flags) => (state.kind.dialect === 'run' ? runDialect : processDialect).snapshot(state, flags),
  body: (entry) => entry.body,
  message: messageOf,
  telemetryHead: (id, kind, type) => (kind.dialect === 'run' ? runDialect : processDialect).telemetryHead(id, kind, type),
  words: (state) => (state.kind.dialect === 'run' ? runDialect : processDialect).words(state),
}

/** The state of a job of any kind, with its final message in the dialect of the kind. */
export function jobView(state: JobBrief): Readonly<Record<string, unknown>> {
  const { process_id: id, process_type: _type, status, attempt, ...rest } = processView(state)
  const final = state.latest.get('final')
  return {
    ...{ id, kind: state.kind.name, owner: state.owner, solver: isOwned(state) ? null : state.solver, status, attempt, ...rest },
    final: final ? messageOf(final) : null,
  }
}
