import { processDialect, processFinal, processView } from '../../core/dialect.js'
import type { JobBrief } from '../../core/job-state.js'
import { processAnswers } from '../contract/job-answers.js'
import type { JobResource } from './job-resource.js'

const stateOf = (state: JobBrief) => ({ ...processView(state), result: processFinal(state) })

/** Jobs of all kinds, in the process dialect: `/api/processes`. */
export const processes: JobResource = {
  kind: null,
  base: '/api/processes',
  tag: 'processes',
  idField: 'process_id',
  listField: 'processes',
  dialect: processDialect,
  stateOf,
  briefOf: stateOf,
  nameOf: ({ id, kind }) => ({ process_id: id, process_type: kind.processType }),
  socketOf: () => '/ws',
  answers: processAnswers(),
}
