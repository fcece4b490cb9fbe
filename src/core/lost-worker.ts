import type { JobEvent } from './entry.js'
import { KINDS, type KindName, lifecycleOf } from './kinds.js'

/** The next attempt of a job that was `running` and has lost its worker. It waits for nothing but another one. */
export function lostWorker(kind: KindName, id: string): JobEvent {
  const error = 'the worker was lost'
  const retry = { max_attempts: KINDS[kind].attempts, delay_ms: 0, error }
  return { ...lifecycleOf(kind).status(id, 'retrying', error, retry), clears: 'attempt' }
}
