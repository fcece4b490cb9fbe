import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import fastifySwagger from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Kinds } from '../../core/kind.js'
import { asyncApiOf } from '../contract/asyncapi.js'
import { type ContractOptions, openApiOptions } from '../contract/openapi.js'
import { PAGE_POLICY, renderPage } from '../contract/page.js'

const MAX_AGE_S = 600

export interface DocsOptions {
  readonly kinds: Kinds
  readonly contract: ContractOptions
}

/**
 * Serves the description of the interface below `/docs`: OpenAPI of all routes, AsyncAPI of all sockets, and a page for
 * people. These routes need no token, so each document is rendered only once, at its first request.
 */
export const docs = fp(
  async (app: FastifyInstance, { kinds, contract }: DocsOptions) => {
    await app.register(fastifySwagger, openApiOptions(kinds, contract))
    const asyncApi = () => asyncApiOf(kinds, contract)
    await app.register(async (pages) => {
      pages.get('/docs', { schema: HIDDEN }, async (_request, reply) => reply.redirect(`${app.publicPath}/docs/`, 301))
      serve(pages, '/docs/', 'text/html; charset=utf-8', () => renderPage(app.swagger(), asyncApi()), PAGE_POLICY)
      serve(pages, '/docs/openapi.json', 'application/json; charset=utf-8', () => JSON.stringify(app.swagger()))
      serve(pages, '/docs/openapi.yaml', 'application/yaml; charset=utf-8', () => app.swagger({ yaml: true }))
      serve(pages, '/docs/asyncapi.json', 'application/json; charset=utf-8', () => JSON.stringify(asyncApi()))
    })
  },
  { name: 'docs', dependencies: ['origins'] },
)

const HIDDEN = { hide: true }

interface Rendered {
  readonly etag: string
  readonly plain: Buffer
  readonly gzipped: Buffer
}

/** A document at a path, compressed and with an `ETag`. */
function serve(app: FastifyInstance, path: string, type: string, render: () => string, policy?: string): void {
  let rendered: Promise<Rendered> | undefined
  app.get(path, { schema: HIDDEN }, async (request, reply) => {
    rendered ??= compress(render())
    if (policy) void reply.header('content-security-policy', policy)
    return send(await rendered, type, request, reply)
  })
}

async function compress(text: string): Promise<Rendered> {
  const plain = Buffer.from(text)
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
  return { etag, plain, gzipped: await promisify(gzip)(plain) }
}

function send({ etag, plain, gzipped }: Rendered, type: string, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const vary = [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', ')
  void reply.headers({ etag, 'cache-control': `public, max-age=${MAX_AGE_S}`, vary })
  if (headers['if-none-match']?.includes(etag)) return reply.code(304).send()
  void reply.type(type)
  if (/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(headers['accept-encoding'] ?? ''))
    return reply.header('content-encoding', 'gzip').send(gzipped)
  return reply.send(plain)
}
