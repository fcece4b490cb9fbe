import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { IDEMPOTENCY_KEY_PATTERN } from '../../jobs/idempotency.js'

/** Headers of routes that enqueue. An invalid key is answered with 422. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: IDEMPOTENCY_KEY_PATTERN,
      description: 'a repeated key enqueues nothing: 1 to 255 visible ASCII characters; an id in the body takes precedence',
    }),
  ),
})

/** The key of a request, for `JobService.submit`. The route must validate with `IdempotencyHeaders`. */
export function keyOf({ headers }: Pick<FastifyRequest, 'headers'>): { key?: string } {
  const key = headers['idempotency-key']
  return typeof key === 'string' ? { key } : {}
}
