import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import type { Kind } from '../../core/kind.js'
import type { ClaimService } from '../../jobs/claims/claim-service.js'
import { assignment, ClaimAnswer, ClaimPost, claimPostInFull, claimRequest } from '../../protocol/claim-messages.js'
import { stringifyJson } from '../../protocol/json.js'
import { bodyValidator } from '../plugins/validation.js'

export interface ClaimRoutesOptions {
  /** Those that may be claimed. */
  readonly kinds: readonly Kind[]
  readonly claims: ClaimService
  /** Most bytes of a post: what a message may have. */
  readonly maxPostBytes: number
}

const Path = Type.Object({ id: Type.String() })
const checkPost = bodyValidator(ClaimPost)

/** `POST /api/v2/jobs/claim` and `POST /api/v2/jobs/{id}/events`, for the role `worker`: jobs for workers in any language, over HTTP. */
export const claimRoutes: FastifyPluginAsyncTypebox<ClaimRoutesOptions> = async (app, { kinds, claims, maxPostBytes }) => {
  const tags = ['workers']
  app.addHook('onRequest', app.identifyWorker)

  const names = kinds.map(({ name }) => name)
  const claimed = {
    tags,
    summary: 'Claim the next job of a kind, and start it',
    body: claimRequest(names),
    response: { 200: assignment(names), 204: Type.Null({ description: 'none came within wait_s' }) },
  }
  // An input keeps the text of its numbers.
  app.post('/claim', { schema: claimed, serializerCompiler: () => (answer: unknown) => stringifyJson(answer) }, async (request, reply) => {
    const { identity } = request
    const { kind, solver, wait_s } = request.body
    const confirm = () => app.confirm(identity)
    const job = await claims.claim({ kind, solver, by: identity.sub, waitMs: wait_s * 1000, gone: disconnectSignal(reply), confirm })
    return job ? reply.send(job) : reply.code(204).send(null)
  })

  const told = {
    tags,
    summary: 'Tell of a claimed job, renew its lease, and end it',
    params: Path,
    body: claimPostInFull(kinds.flatMap(({ claimEvents }) => Object.values(claimEvents ?? {}))),
    response: { 200: ClaimAnswer },
  }
  // What its events have to be is known once the job is: here they are only events.
  const validatorCompiler = ({ httpPart }: { httpPart?: string }) =>
    httpPart === 'body' ? checkPost : (data: unknown) => ({ value: data })
  app.post(
    '/:id/events',
    { schema: told, config: { isUnlimited: true }, validatorCompiler, bodyLimit: maxPostBytes },
    async ({ params, body, identity }) => {
      return claims.post(params.id, identity.sub, body as ClaimPost) // checkPost has let it through
    },
  )
}

/** Aborted when the line to whoever asked is gone before the answer. */
function disconnectSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  // One that is gone before its body was read never comes here.
  raw.once('close', () => gone.abort())
  return gone.signal
}
