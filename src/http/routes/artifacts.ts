import { finished, Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { ArtifactService, Download } from '../../jobs/artifacts/artifact-service.js'
import { ANY_MEDIA_TYPE, Artifact } from '../../protocol/artifact.js'
import { RuncastError } from '../../protocol/codes.js'
import { JobId } from '../../protocol/job-id.js'
import { artifactOf } from '../../storage/artifact-records.js'
import type { ByteRange } from '../../storage/artifact-store.js'
import { answers } from '../contract/answers.js'
import type { Noun } from '../contract/job-answers.js'

export const ArtifactPath = Type.Object({
  id: Type.String({ description: 'id of the job' }),
  name: Type.String({ description: 'name of the artifact' }),
})

/** A client that reads nothing for this time is disconnected; it may continue with a range. */
const STALL_MS = 60_000

/** A browser that shows an artifact as a page must not run, load or frame anything, and gives it no origin. */
const HEADERS = {
  'accept-ranges': 'bytes',
  'cache-control': 'private, no-cache',
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
}

const RequestHeaders = Type.Object({
  range: Type.Optional(Type.String({ description: 'one range of bytes, as bytes=0-99; several are answered with the whole' })),
  'if-none-match': Type.Optional(Type.String({ description: 'the ETag of a copy' })),
  'if-range': Type.Optional(Type.String({ description: 'the ETag of the part that the client has; otherwise the range is ignored' })),
})

/** Of 200 and 206. */
const CONTENT_HEADERS = {
  'Accept-Ranges': Type.Literal('bytes'),
  'Content-Disposition': Type.String({ description: 'attachment, with the name' }),
  ETag: Type.String({ description: 'SHA-256 of the whole content' }),
}
const CONTENT = { [ANY_MEDIA_TYPE]: { schema: Type.String({ format: 'binary' }) } }
const ContentRange = Type.String({ description: 'bytes first-last/size' })

export interface ArtifactRoutesOptions {
  /** Path of the jobs. */
  readonly base: string
  readonly tag: string
  /** Field for the id of a job. */
  readonly idField: string
  readonly noun: Noun
  readonly artifacts: ArtifactService
  /** The owner of a job that the user of a request may view. Rejects with `not_found`. */
  ownerOf(request: FastifyRequest, id: string): Promise<string>
}

/** The artifacts of a job: the list, and each as a download. */
export const artifactRoutes: FastifyPluginAsyncTypebox<ArtifactRoutesOptions> = async (app, options) => {
  const { base, tag, idField, noun, artifacts, ownerOf } = options
  const tags = [tag]
  const found = async (request: FastifyRequest, id: string) => {
    const read = await artifacts.read(id, await ownerOf(request, id))
    if (!read) throw new RuncastError('not_found')
    return read.artifacts
  }

  const list = {
    tags,
    operationId: `list${noun.one}Artifacts`,
    summary: 'Artifacts of the current attempt, by name',
    params: Type.Pick(ArtifactPath, ['id']),
    response: answers(
      { 200: Type.Object({ [idField]: JobId, artifacts: Type.Array(Artifact) }, { title: `${noun.one}Artifacts` }) },
      'not_found',
    ),
  }
  app.get('/:id/artifacts', { schema: list }, async (request) => {
    const { id } = request.params
    const records = await found(request, id)
    return { [idField]: id, artifacts: records.map((record) => artifactOf(record, `${app.publicPath}${base}/${id}/artifacts`)) }
  })

  const read = {
    tags,
    operationId: `get${noun.one}Artifact`,
    summary: 'Download an artifact, or a range of it',
    params: ArtifactPath,
    headers: RequestHeaders,
    response: answers(
      {
        200: { description: 'The content.', content: CONTENT, headers: CONTENT_HEADERS },
        206: { description: 'The range.', content: CONTENT, headers: { ...CONTENT_HEADERS, 'Content-Range': ContentRange } },
        302: Type.Null({ description: 'A link to the content, valid for a minute, in `Location`.' }),
        304: Type.Null({ description: 'The copy with this ETag is the content.' }),
      },
      'not_found',
      'range',
      'no_store',
    ),
  }
  app.get('/:id/artifacts/:name', { schema: read }, async (request, reply) => {
    const { id, name } = request.params
    assertSlot(artifacts, request, reply)
    const answer = async () => {
      const record = (await found(request, id)).find((record) => record.name === name)
      if (!record) throw new RuncastError('not_found', 'There is no such artifact.')
      const download = artifacts.download(record)
      if (!download) throw new RuncastError('not_found', `This artifact is a link to ${record.url}`)
      return send(download, request, reply)
    }
    // An artifact that is replaced after its record was read is another object.
    if (!(await answer()) && !(await answer())) throw new RuncastError('not_found', 'The content of this artifact is gone.')
    return reply
  })
}

/** Counts a download of the user until its answer has ended. Throws `rate_limited` if too many are open. */
function assertSlot({ downloaders }: ArtifactService, { identity }: FastifyRequest, { raw }: FastifyReply): void {
  const leave = downloaders.enter(identity.sub)
  if (!leave) {
    const message = `This user has ${downloaders.max} downloads open here, which is the maximum; try again when one has ended.`
    throw new RuncastError('rate_limited', { message, retryAfterMs: 1000 })
  }
  // Also if the client has disconnected already.
  finished(raw, leave)
}

/** Resolves to false, without an answer, if the content is gone. */
async function send(download: Download, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  const { name, bytes, sha256 } = download.artifact
  const { range, 'if-none-match': known, 'if-range': part } = request.headers
  const etag = `"${sha256}"`
  // The name has no character that must be quoted.
  void reply.headers({ ...HEADERS, etag, 'content-disposition': `attachment; filename="${name}"` })
  if (known !== undefined && (known === '*' || known.includes(etag))) {
    void reply.code(304).send()
    return true
  }
  const wanted = range === undefined || (part !== undefined && part !== etag) ? null : rangeIn(range, bytes)
  if (wanted === 'outside') {
    void reply.header('content-range', `bytes */${bytes}`)
    throw new RuncastError('range', `The content has ${bytes} bytes.`)
  }
  // A link is signed for GET.
  const link = request.method === 'HEAD' ? null : await download.link()
  if (link !== null) {
    void reply.header('cache-control', 'no-store').redirect(link, 302)
    return true
  }
  const { first, last } = wanted ?? { first: 0, last: bytes - 1 }
  // The content of a HEAD request is read by nobody.
  const content = request.method === 'HEAD' || bytes === 0 ? Readable.from([]) : await download.open(wanted ?? undefined)
  if (!content) return false
  // Without a listener, Node disconnects a client at which nothing arrives for this time.
  reply.raw.setTimeout(STALL_MS)
  if (wanted) void reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`)
  void reply
    .type(ANY_MEDIA_TYPE)
    .header('content-length', last - first + 1)
    .send(content)
  return true
}

/** The one range of a `Range` header; null for anything else, which is ignored (RFC 9110, section 14.2). */
function rangeIn(header: string, bytes: number): ByteRange | null | 'outside' {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header) ?? []
  if (from === '' && to === '') return null
  const first = from === '' ? Math.max(0, bytes - Number(to)) : Number(from)
  const last = from === '' || to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1)
  if (from !== '' && to !== '' && Number(to) < first) return null
  return first >= bytes || last < first ? 'outside' : { first, last }
}
