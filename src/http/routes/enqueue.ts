import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { JobState } from '../../core/job-state.js'
import { jobScope } from '../../hub/scopes/job-scope.js'
import { acceptedOf, type JobResource } from './job-resource.js'
import { varyByAccept, wantsEventStream } from './negotiate.js'
import { serveStream, takePlace } from './stream.js'

/** The parts of one request. */
export interface Exchange {
  readonly app: FastifyInstance
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * Answers a POST that enqueues: 202, or, where the client asks for it, the stream of the job up to its final message. Losing the stream does not stop
 * the job. `submit` is called once there is a place for the stream.
 */
export async function enqueue(
  { app, request, reply }: Exchange,
  resource: JobResource,
  submit: () => Promise<JobState>,
): Promise<FastifyReply> {
  const streams = wantsEventStream(request)
  if (streams) takePlace(app, request, reply)
  const state = await submit()
  const accepted = acceptedOf(resource, state, app.publicPath)
  void reply.header('location', accepted.links.self)
  varyByAccept(reply)
  const { kind, idField, dialect } = resource
  // From its first entry on, since a quick worker may have begun before this line.
  const after = { epoch: state.epoch, seq: 0 }
  if (streams) return serveStream(app, request, reply, jobScope({ id: state.id, kind, idField, dialect, after, endsWithJob: true }))
  return reply.code(202).send(accepted)
}
