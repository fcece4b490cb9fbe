import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { isTraceparent } from '../../core/traceparent.js'
import { IDEMPOTENCY_KEY_PATTERN } from '../../jobs/idempotency.js'

/** Headers of routes that enqueue. An invalid key is answered with 422, an invalid trace context is ignored. */
export const SubmitHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: IDEMPOTENCY_KEY_PATTERN,
      description: 'a repeated key enqueues nothing: 1 to 255 visible ASCII characters; an id in the body takes precedence',
    }),
  ),
  traceparent: Type.Optional(Type.String({ description: 'W3C Trace Context: the job belongs to this trace' })),
})

/**
 * The key and the trace of a request, for `JobService.submit`. The route must validate with `SubmitHeaders`. The span
 * of the request, if it has one, is part of the caller's trace.
 */
export function fromHeaders({ headers, span }: Pick<FastifyRequest, 'headers' | 'span'>): { key?: string; traceparent?: string } {
  const { 'idempotency-key': key } = headers
  const traceparent = span?.traceparent ?? headers.traceparent
  return { ...(typeof key === 'string' && { key }), ...(isTraceparent(traceparent) && { traceparent }) }
}
