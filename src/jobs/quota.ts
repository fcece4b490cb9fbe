import { RuncastError } from '../protocol/codes.js'
import type { Reserved } from '../storage/fair-scheduler.js'

/** Error codes and messages, by the limit that was reached. */
const LIMITS = {
  hour: { code: 'quota', message: 'Quota exceeded: this user has submitted the maximum number of jobs per hour.' },
  waiting: { code: 'quota', message: 'Quota exceeded: this user has the maximum number of waiting jobs.' },
  full: { code: 'overloaded', message: 'The maximum number of jobs is waiting; retry later.' },
} as const

/** The error for a reservation that was rejected. */
export function quotaError(reserved: Extract<Reserved, { ok: false }>): RuncastError {
  if (reserved.reason !== 'bytes') {
    const { code, message } = LIMITS[reserved.reason]
    return new RuncastError(code, { message, retryAfterMs: reserved.retryAfterMs })
  }
  const { bytes, limit, retryAfterMs } = reserved
  const message = `The jobs of this user take ${bytes} bytes, which reaches MAX_BYTES_PER_USER (${limit}); they expire some time after their end.`
  return new RuncastError('quota', { message, retryAfterMs })
}
