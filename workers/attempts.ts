import type { JobState } from '../src/protocol/job-state.js'
import { KINDS } from '../src/protocol/kinds.js'

const FIRST_DELAY_MS = 1000

/** The number of the attempt that a start would be now. A job that is `running` has lost its worker, and that attempt counts; one that was handed back goes on in its own. */
export function attemptAtStart({ status, attempt }: Pick<JobState, 'status' | 'attempt'>): number {
  return status === 'running' ? attempt + 1 : attempt
}

export function attemptsOf({ kind }: Pick<JobState, 'kind'>): number {
  return KINDS[kind].attempts
}

/** How long a job waits after this attempt has failed, before the next one: 1 s, 2 s, 4 s, … What is announced is what the queue waits. */
export function retryDelayMs(attempt: number): number {
  return FIRST_DELAY_MS * 2 ** (attempt - 1)
}
