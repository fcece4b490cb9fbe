import { runDialect } from '../../core/dialect.js'
import { messageOf } from '../../core/entry.js'
import type { JobBrief } from '../../core/job-state.js'
import type { Kind } from '../../core/kind.js'
import { runAnswers } from '../contract/job-answers.js'
import type { JobResource } from './job-resource.js'

/** Jobs of one kind in the run dialect, derived from its contract. Throws `TypeError` for a kind in another dialect. */
export function runDialectResource(kind: Kind): JobResource {
  const { name, idField, path, snapshot, hiddenInLists } = kind
  if (path === null || !snapshot) throw new TypeError(`the kind ${name} has no run dialect`)
  /** The snapshot without the fields that only sockets need. */
  const stateOf = (state: JobBrief) => {
    const { type: _type, timestamp: _timestamp, ...fields } = snapshot(state)
    return { ...fields, result: finalOf(state) }
  }
  return {
    kind: name,
    base: `/api/v2/${path}`,
    tag: path,
    idField,
    listField: path,
    dialect: runDialect,
    stateOf,
    briefOf: (state) => Object.fromEntries(Object.entries(stateOf(state)).filter(([field]) => !hiddenInLists.includes(field))),
    nameOf: ({ id }) => ({ [idField]: id }),
    socketOf: (id) => `/api/v2/ws/${path}/${id}`,
    answers: runAnswers(kind, path),
  }
}

/** The final message, with the result or the error. */
function finalOf(state: JobBrief): Record<string, unknown> | null {
  const entry = state.latest.get('final')
  return entry ? messageOf(entry) : null
}
