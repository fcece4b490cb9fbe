import type { FastifyRequest } from 'fastify'
import type { Position } from '../../core/entry.js'

/**
 * Where a client of a stream left off: `Last-Event-ID`, else `?last_event_id=`, both `<epoch>:<seq>` as the stream's ids are, else `?after=&epoch=`. The
 * header goes first: an EventSource that connects again has the address of its first connect. What is no position is as good as none.
 */
export function resumeFrom({ headers, query }: Pick<FastifyRequest, 'headers' | 'query'>): Position | null {
  const { last_event_id, after, epoch } = query as { last_event_id?: unknown; after?: unknown; epoch?: unknown }
  const id = headers['last-event-id'] ?? last_event_id
  if (typeof id !== 'string' || id === '') return positionOf({ after: after === undefined ? after : String(after), epoch })
  const at = id.lastIndexOf(':')
  return at > 0 ? positionOf({ epoch: id.slice(0, at), after: id.slice(at + 1) }) : null
}

/** `?after=<seq>&epoch=<epoch>`; what is no position is as good as none: the client gets the whole state. */
export function positionOf({ after, epoch }: { readonly after?: unknown; readonly epoch?: unknown }): Position | null {
  // Given twice, either is an array.
  if (typeof after !== 'string' || typeof epoch !== 'string' || !/^[0-9]+$/.test(after)) return null
  const seq = Number(after)
  return Number.isSafeInteger(seq) ? { epoch, seq } : null
}
