import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { BuildScope } from '../../hub/scopes/scope.js'
import { openEventStream } from '../transports/sse-transport.js'

/**
 * Reserves a slot for a stream on this node. Throws `restart` or `overloaded`, with `Retry-After` set, if there is
 * none.
 */
export function reserveStreamSlot(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): void {
  const failure = app.rejectUpgrade(request, reply)
  if (failure) throw failure
}

/**
 * Answers a request with the live stream of a session, until either ends. Errors with an HTTP status must come before
 * this call: from here on, a reason is sent as an event `close`.
 */
export function serveStream(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  scope: BuildScope,
  hasIds = true,
): FastifyReply {
  const transport = openEventStream(reply, hasIds)
  const { session, forget } = app.buildSession('sse', transport, request, scope)
  transport.onAlive = () => session.touch()
  reply.raw.once('close', forget)
  // A disconnect before this line emitted `close` without a listener.
  if (reply.raw.destroyed) forget()
  else session.start()
  return reply
}
