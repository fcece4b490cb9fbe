import type { FastifyRequest } from 'fastify'
import type { Position } from '../../core/entry.js'
import type { TelemetryOptions } from '../../hub/scopes/subscription-handle.js'

/**
 * The resume position of a stream: `Last-Event-ID`, else `?last_event_id=`, both `<epoch>:<seq>` like the ids of the
 * stream, else `?after=&epoch=`. The header takes precedence: an EventSource reconnects with the URL of its first
 * connect. An invalid position counts as none.
 */
export function resumeFrom({ headers, query }: Pick<FastifyRequest, 'headers' | 'query'>): Position | null {
  const { last_event_id, after, epoch } = query as { last_event_id?: unknown; after?: unknown; epoch?: unknown }
  const id = headers['last-event-id'] ?? last_event_id
  if (typeof id !== 'string' || id === '') return positionOf({ after: after === undefined ? after : String(after), epoch })
  const at = id.lastIndexOf(':')
  return at > 0 ? positionOf({ epoch: id.slice(0, at), after: id.slice(at + 1) }) : null
}

/**
 * What a client wants beside entries: `?log=1`, from `?log_after=<number>&log_epoch=<epoch>`, `?series=1`,
 * `?artifacts=1` and `?health=1`. Invalid parameters count as none.
 */
export function telemetryOf(query: { readonly [name: string]: unknown }): TelemetryOptions {
  const { log, log_after: after, log_epoch: epoch, series, artifacts, health } = query
  const n = typeof after === 'string' && /^[0-9]{1,15}$/.test(after) ? Number(after) : null
  return {
    ...(isOn(log) && { log: n === null ? {} : { after: { n, epoch: typeof epoch === 'string' ? epoch : null } } }),
    ...(isOn(series) && { series: true }),
    ...(isOn(artifacts) && { artifacts: true }),
    ...(isOn(health) && { health: true }),
  }
}

function isOn(value: unknown): boolean {
  return value === '1' || value === 'true'
}

/** `?after=<seq>&epoch=<epoch>`. An invalid position counts as none: the client gets the whole state. */
export function positionOf({ after, epoch }: { readonly after?: unknown; readonly epoch?: unknown }): Position | null {
  // A repeated parameter is an array.
  if (typeof after !== 'string' || typeof epoch !== 'string' || !/^[0-9]+$/.test(after)) return null
  const seq = Number(after)
  return Number.isSafeInteger(seq) ? { epoch, seq } : null
}
