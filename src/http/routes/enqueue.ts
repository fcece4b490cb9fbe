import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { JobState } from '../../core/job-state.js'
import { jobScope } from '../../hub/scopes/job-scope.js'
import { RuncastError } from '../../protocol/codes.js'
import { acceptedOf, type JobResource } from './job-resource.js'
import { varyByAccept, wantsEventStream } from './negotiate.js'
import { reserveStreamSlot, serveStream } from './stream.js'

/** The parts of one request. */
export interface Exchange {
  readonly app: FastifyInstance
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * Answers a POST that enqueues: 202, or the event stream of the job up to its final message if the client requests one.
 * The job continues if the stream is lost. `submit` is called once a slot for the stream is reserved.
 */
export async function enqueue(
  { app, request, reply }: Exchange,
  resource: JobResource,
  submit: () => Promise<JobState>,
): Promise<FastifyReply> {
  const streams = wantsEventStream(request)
  if (streams) reserveStreamSlot(app, request, reply)
  const state = await submit()
  request.audit('submit', { job: state.id, kind: state.kind.name, round: state.round })
  const accepted = acceptedOf(resource, state, app.publicPath)
  void reply.header('location', accepted.links.self)
  varyByAccept(reply)
  const { kind, idField, dialect } = resource
  // From the first entry: a fast worker may already have started.
  const after = { epoch: state.epoch, seq: 0 }
  if (streams) return serveStream(app, request, reply, jobScope({ id: state.id, kind, idField, dialect, after, endsWithJob: true }))
  return reply.code(202).send(accepted)
}

/** Rejects with the paths of a body whose fields are those of the input: without `/input`. */
export function rejectWithBodyPaths(error: unknown): never {
  if (!(error instanceof RuncastError) || error.code !== 'invalid') throw error
  const issues = error.issues.map(({ path, expected }) => ({ path: path.replace(/^\/input/, ''), expected }))
  throw new RuncastError('invalid', { message: error.message, issues, cause: error })
}
