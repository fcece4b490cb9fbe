import { kindOf } from '../../core/define-kind.js'
import { runEvents } from '../../core/run-events.js'
import { integer, list } from '../../core/setting.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../../core/timeout.js'
import { runClaimEvents } from '../../protocol/claim-messages.js'
import { RUN_MESSAGES, RUN_PHASES } from '../../protocol/run-messages.js'
import { BUILT_IN_SOLVER, HornInput, hornInputFaults } from './input.js'

const settings = {
  WORKER_SOLVERS: list(
    'Solvers whose runs a worker process computes, separated by commas; empty: `horn-2d` and all of SOLVERS_FILE.',
    (item) => /^[a-z][a-z0-9-]{0,31}$/.test(item),
    'names of solvers',
  ),
  WORKER_CONCURRENCY: integer('Concurrent runs of `horn-2d` per worker process.', 2, 1, 64),
  RUN_TIMEOUT_S: integer('Default time limit of a run, from its first start, over all attempts.', 3600, MIN_TIMEOUT_S, MAX_TIMEOUT_S),
}

/** One computation by the built-in solver or by a configured program. */
export const runKind = kindOf({
  name: 'run',
  dialect: 'run',
  processType: 'solver',
  path: 'runs',
  idField: 'run_id',
  phases: RUN_PHASES,
  solvers: [BUILT_IN_SOLVER],
  input: HornInput,
  inputIssues: hornInputFaults,
  attempts: 3,
  timeoutS: { setting: 'RUN_TIMEOUT_S' },
  concurrency: { setting: 'WORKER_CONCURRENCY' },
  settings,
  events: runEvents,
  messages: RUN_MESSAGES,
  claimEvents: runClaimEvents(RUN_PHASES),
})
