import type { Health } from '../protocol/health.js'
import type { Received } from './hub-socket.js'

/** A message with the health of an active job, in either dialect. */
export interface HealthMessage {
  readonly type: 'health' | 'process_health'
  readonly health: Health
  /** Absent if it is `ok`. */
  readonly since?: string
}

/**
 * The health of an active job. `stalled`: alive, but without an advance since `since` for more than 3 times its usual
 * step. `stale`: without a sign of life of its worker since `since`. ISO 8601 in UTC; null for `ok`.
 */
export interface JobHealth {
  readonly health: Health
  readonly since: string | null
}

export function isHealthMessage(message: Received): message is HealthMessage {
  return (message.type === 'health' || message.type === 'process_health') && typeof Reflect.get(message, 'health') === 'string'
}

export function healthOf({ health, since }: HealthMessage): JobHealth {
  return { health, since: since ?? null }
}
