import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { BuildScope } from '../../hub/scopes/scope.js'
import { openEventStream } from '../transports/sse-transport.js'

/** Asks for a place for a stream on this node. Throws `restart` or `overloaded`, with `Retry-After` set, where there is none. */
export function takePlace(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = app.rejectUpgrade(request, reply)
  if (refusal) throw refusal
}

/**
 * Answers a request with the live stream of a session, to the end of either. Whatever can be refused in plain HTTP has been refused before: from
 * here on a reason is an event `close`.
 */
export function serveStream(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply, scope: BuildScope): FastifyReply {
  const transport = openEventStream(reply)
  const { session, forget } = app.buildSession('sse', transport, request, scope)
  transport.onAlive = () => session.touch()
  reply.raw.once('close', forget)
  // Where the client has left before this line, that was not heard.
  if (reply.raw.destroyed) forget()
  else session.start()
  return reply
}
