import type { JobEvent } from './entry.js'
import { type Kind, opening } from './kind.js'

/** The next attempt of a job that was `running` and has lost its worker. It waits for nothing but another one. */
export function lostWorker(kind: Kind, id: string): JobEvent {
  const error = 'the worker was lost'
  return opening('attempt', kind, kind.events.status(id, 'retrying', error, { max_attempts: kind.attempts, delay_ms: 0, error }))
}
