import type { JobEvent } from './entry.js'
import { type Kind, opening } from './kind.js'

/** Opens the next attempt, without delay, of a `running` job whose worker is lost. */
export function lostWorker(kind: Kind, id: string): JobEvent {
  const error = 'the worker was lost'
  return opening('attempt', kind, kind.events.status(id, 'retrying', error, { max_attempts: kind.attempts, delay_ms: 0, error }))
}
