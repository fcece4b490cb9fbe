import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import type { Kind } from '../../core/kind.js'
import type { ClaimService } from '../../jobs/claims/claim-service.js'
import { assignment, ClaimAnswer, ClaimPost, claimPostInFull, claimRequest } from '../../protocol/claim-messages.js'
import { stringifyJson } from '../../protocol/json.js'
import { answers } from '../contract/answers.js'
import { bodyValidator } from '../plugins/validation.js'
import { JobPath } from './job-resource.js'

export interface ClaimRoutesOptions {
  /** Kinds that may be claimed. */
  readonly kinds: readonly Kind[]
  readonly claims: ClaimService
  /** Maximum bytes of a report, which is the maximum of a message. */
  readonly maxPostBytes: number
}

const checkPost = bodyValidator(ClaimPost)

/**
 * `POST /api/v2/jobs/claim` and `POST /api/v2/jobs/{id}/events`: jobs for workers in any language, over HTTP. For the
 * role `worker`.
 */
export const claimRoutes: FastifyPluginAsyncTypebox<ClaimRoutesOptions> = async (app, { kinds, claims, maxPostBytes }) => {
  const tags = ['workers']
  app.addHook('onRequest', app.identifyWorker)

  const names = kinds.map(({ name }) => name)
  // Without such a kind nothing can be claimed, and there is nothing to describe.
  const hide = kinds.length === 0
  const claimed = {
    hide,
    tags,
    operationId: 'claimJob',
    summary: 'Claim the next job of a kind, and start it',
    body: claimRequest(names),
    response: answers({ 200: assignment(names), 204: Type.Null({ description: 'no job within wait_s' }) }, 'restart'),
  }
  // Keeps the original text of numbers in the input.
  app.post('/claim', { schema: claimed, serializerCompiler: () => (answer: unknown) => stringifyJson(answer) }, async (request, reply) => {
    const { identity } = request
    const { kind, solver, wait_s } = request.body
    const confirm = () => app.confirm(identity)
    const job = await claims.claim({ kind, solver, by: identity.sub, waitMs: wait_s * 1000, gone: disconnectSignal(reply), confirm })
    if (!job) return reply.code(204).send(null)
    const { id, round, attempt } = job
    request.audit('claim', { job: id, kind: job.kind, round, attempt })
    return reply.send(job)
  })

  const reported = {
    hide,
    tags,
    operationId: 'reportJobEvents',
    summary: 'Report on a claimed job, renew its lease, and end it',
    params: JobPath,
    body: claimPostInFull(kinds.flatMap(({ claimEvents }) => Object.values(claimEvents ?? {}))),
    response: answers({ 200: ClaimAnswer }, 'not_found', 'stale_writer', 'rate_limited'),
  }
  // The kind of the job decides which events are valid, so the service validates them.
  const validatorCompiler = ({ httpPart }: { httpPart?: string }) =>
    httpPart === 'body' ? checkPost : (data: unknown) => ({ value: data })
  app.post(
    '/:id/events',
    { schema: reported, config: { isUnlimited: true }, validatorCompiler, bodyLimit: maxPostBytes },
    async ({ params, body, identity }) => {
      return claims.post(params.id, identity.sub, body as ClaimPost) // validated by checkPost
    },
  )
}

/** Aborts when the client disconnects before the response. */
function disconnectSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  // A client that disconnects before its body was read does not reach this route.
  raw.once('close', () => gone.abort())
  return gone.signal
}
