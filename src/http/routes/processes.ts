import { processDialect, processFinal, processView } from '../../protocol/dialect.js'
import { KINDS } from '../../protocol/kinds.js'
import type { JobResource } from './job-resource.js'

/** Jobs of every kind, in the process dialect: `/api/processes`. */
export const processes: JobResource = {
  kind: null,
  base: '/api/processes',
  tag: 'processes',
  idField: 'process_id',
  listField: 'processes',
  dialect: processDialect,
  stateOf: (state) => ({ ...processView(state), result: processFinal(state) }),
  nameOf: ({ id, kind }) => ({ process_id: id, process_type: KINDS[kind].processType }),
  socketOf: () => '/ws',
}
