import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import type { Kind } from '../../core/kind.js'
import type { ClaimService } from '../../jobs/claims/claim-service.js'
import { ANY_MEDIA_TYPE, Artifact } from '../../protocol/artifact.js'
import { assignment, ClaimAnswer, ClaimPost, claimPostInFull, claimRequest, Round, Token } from '../../protocol/claim-messages.js'
import { stringifyJson } from '../../protocol/json.js'
import { artifactOf } from '../../storage/artifact-records.js'
import { answers } from '../contract/answers.js'
import { hasBody } from '../has-body.js'
import { bodyValidator, compileSchema } from '../plugins/validation.js'
import { ArtifactPath } from './artifacts.js'
import { JobPath } from './job-resource.js'

export interface ClaimRoutesOptions {
  /** Kinds that may be claimed. */
  readonly kinds: readonly Kind[]
  readonly claims: ClaimService
  /** Maximum bytes of a report, which is the maximum of a message. */
  readonly maxPostBytes: number
}

const checkPost = bodyValidator(ClaimPost)

const UploadQuery = Type.Object({
  round: Round,
  // `token` is that of the user.
  claim_token: Token,
  media_type: Type.Optional(Type.String({ description: 'default: the content type, else by the extension of the name' })),
  url: Type.Optional(Type.String({ description: 'adds a link to this http(s) URL, which hubs do not request; without a body' })),
})
/** Content without a body. */
const NOTHING = Readable.from([])

/**
 * `POST /api/v2/jobs/claim` and `POST /api/v2/jobs/{id}/events`: jobs for workers in any language, over HTTP. For the
 * role `worker`, and for users who compute their own jobs.
 */
export const claimRoutes: FastifyPluginAsyncTypebox<ClaimRoutesOptions> = async (app, { kinds, claims, maxPostBytes }) => {
  const tags = ['workers']
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
  const serializerCompiler = () => (answer: unknown) => stringifyJson(answer)
  app.post('/claim', { schema: claimed, serializerCompiler, onRequest: app.identifyWorker }, async (request, reply) => {
    const { identity } = request
    const { kind, solver, wait_s } = request.body
    const confirm = () => app.confirm(identity)
    const job = await claims.claim({ kind, solver, by: identity, waitMs: wait_s * 1000, gone: disconnectSignal(reply), confirm })
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
    response: answers({ 200: ClaimAnswer }, 'not_found', 'stale_writer', 'rate_limited', 'quota'),
  }
  // The kind of the job decides which events are valid, so the service validates them.
  const validatorCompiler = ({ httpPart }: { httpPart?: string }) =>
    httpPart === 'body' ? checkPost : (data: unknown) => ({ value: data })
  app.post(
    '/:id/events',
    { schema: reported, config: { isUnlimitedForWorkers: true }, validatorCompiler, bodyLimit: maxPostBytes, onRequest: app.identifyAny },
    async ({ params, body, identity }) => {
      return claims.post(params.id, identity, body as ClaimPost) // validated by checkPost
    },
  )

  const uploaded = {
    hide,
    tags,
    operationId: 'uploadJobArtifact',
    summary: 'Add an artifact to a claimed job: the body is its content. Content that arrives renews the lease',
    params: ArtifactPath,
    querystring: UploadQuery,
    body: { content: { [ANY_MEDIA_TYPE]: { schema: Type.String({ format: 'binary' }) } } },
    response: answers(
      { 201: Artifact, 204: Type.Null({ description: 'the job is an evaluation, whose artifacts are not stored' }) },
      'not_found',
      'stale_writer',
      'too_big',
      'quota',
      'no_store',
    ),
  }
  await app.register(async (uploads) => {
    // The body is streamed to the store, whatever its type.
    uploads.removeAllContentTypeParsers()
    uploads.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    const validatorCompiler: typeof compileSchema = (part) =>
      part.httpPart === 'body' ? (value: unknown) => ({ value }) : compileSchema(part)
    uploads.put('/:id/artifacts/:name', { schema: uploaded, validatorCompiler, onRequest: app.identifyAny }, async (request, reply) => {
      const { id, name } = request.params as Static<typeof ArtifactPath> // validated by the schema
      const { media_type, round, claim_token: token, url } = request.query as Static<typeof UploadQuery> // as well
      const size = request.headers['content-length']
      const upload = {
        round,
        token,
        url,
        name,
        mediaType: media_type ?? mediaTypeIn(request),
        content: hasBody(request.raw) ? request.raw : NOTHING,
        bytes: size === undefined ? undefined : Number(size),
      }
      const stored = await claims.upload(id, request.identity, upload)
      if (!stored) return reply.code(204).send(null)
      return reply.code(201).send(artifactOf(stored, `${app.publicPath}/api/jobs/${id}/artifacts`))
    })
  })
}

/** Content types that clients send without being asked. */
const UNASKED: readonly string[] = [ANY_MEDIA_TYPE, 'application/x-www-form-urlencoded']

/** The media type that the client has named; undefined: by the name of the artifact. */
function mediaTypeIn({ headers }: FastifyRequest): string | undefined {
  const type = headers['content-type']?.trim()
  return type === undefined || UNASKED.includes(type.toLowerCase()) ? undefined : type
}

/** Aborts when the client disconnects before the response. */
export function disconnectSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  // A client that disconnects before its body was read does not reach this route.
  raw.once('close', () => gone.abort())
  return gone.signal
}
