import { runDialect } from '../../core/dialect.js'
import { type JobState, messageOf } from '../../core/job-state.js'
import { KINDS, type RunKindName } from '../../core/kinds.js'
import type { JobResource } from './job-resource.js'

/** Jobs of one kind in the run dialect. All of it derives from the kinds table. */
export function runDialectResource(kind: RunKindName): JobResource {
  const { idField, path, snapshot } = KINDS[kind]
  /** The snapshot, less what only a socket says. */
  const stateOf = (state: JobState) => {
    const { type: _type, timestamp: _timestamp, ...fields } = snapshot(state)
    return { ...fields, result: finalOf(state) }
  }
  return {
    kind,
    base: `/api/v2/${path}`,
    tag: path,
    idField,
    listField: path,
    dialect: runDialect,
    stateOf,
    // A front of hundreds of points is for whoever asks for that one.
    briefOf: (state) => {
      const { front: _front, ...fields } = stateOf(state) as Record<string, unknown>
      return fields
    },
    nameOf: ({ id }) => ({ [idField]: id }),
    socketOf: (id) => `/api/v2/ws/${path}/${id}`,
  }
}

/** The final message: result or error. */
function finalOf(state: JobState): Record<string, unknown> | null {
  const entry = state.latest.get('final')
  return entry ? messageOf(entry) : null
}
