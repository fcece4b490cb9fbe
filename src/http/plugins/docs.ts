import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import fastifySwagger from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isInstalled } from '../../config/optional-package.js'

/** Holds browsers to "nothing from elsewhere", whatever the page's script would like. */
const POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

const MAX_AGE_S = 600

/** Shows the page; an optional peer. */
const REFERENCE = '@scalar/fastify-api-reference'

export interface DocsOptions {
  /** Where clients reach the hub; empty where that is not told. */
  readonly publicUrl: string
}

/** OpenAPI of all routes at `/docs`, made from the schemas that validate them. Nothing is loaded from elsewhere. Without the package of the page, the document alone. */
export const docs = fp(
  async (app: FastifyInstance, { publicUrl }: DocsOptions) => {
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'runcast', description: 'Live progress of long-running jobs.', version: '2' },
        ...(publicUrl !== '' && { servers: [{ url: publicUrl.replace(/\/$/, '') }] }),
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
        security: [{ bearer: [] }],
      },
    })
    await app.register(async (pages) => {
      // The plugin's own redirect does not know of a prefix.
      pages.addHook('onRequest', async (request, reply) => {
        void reply.header('content-security-policy', POLICY)
        if (request.routeOptions.url === '/docs') return reply.redirect(`${app.publicPath}/docs/`, 301)
      })
      keepAnswers(pages)
      if (isInstalled(REFERENCE)) {
        const { default: scalar } = await import('@scalar/fastify-api-reference')
        await pages.register(scalar, { routePrefix: '/docs', configuration: { withDefaultFonts: false, telemetry: false } })
      } else serveDocument(pages)
    })
  },
  { name: 'docs', dependencies: ['origins'] },
)

/** The document, and in place of the page how to get it. */
function serveDocument(app: FastifyInstance): void {
  const hidden = { schema: { hide: true } }
  app.get('/docs', hidden, async () => {}) // redirected before
  app.get('/docs/', hidden, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(
      `This page needs a package that is not installed beside this hub. Install it there and restart the hub:

  npm install ${REFERENCE}

The OpenAPI document itself: ${app.publicPath}/docs/openapi.json and ${app.publicPath}/docs/openapi.yaml
`,
    ),
  )
  app.get('/docs/openapi.json', hidden, async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())))
  app.get('/docs/openapi.yaml', hidden, async (_request, reply) => reply.type('application/yaml').send(app.swagger({ yaml: true })))
}

interface Kept {
  readonly type: string
  readonly etag: string
  readonly gzipped: Buffer
}

/** Makes the answer of each route once, and from then on serves it from memory, compressed and with an `ETag`: these routes are open to all, and their answers are large. */
function keepAnswers(app: FastifyInstance): void {
  const kept = new Map<string, Promise<Kept>>()
  app.addHook('onRequest', async (request, reply) => {
    const answer = kept.get(request.routeOptions.url ?? '')
    if (answer) return serve(await answer, request, reply)
  })
  app.addHook('onSend', async ({ method, routeOptions }, reply, payload) => {
    const url = routeOptions.url ?? ''
    if (method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string' || kept.has(url)) return payload
    kept.set(url, keep(payload, String(reply.getHeader('content-type'))))
    return payload
  })
}

async function keep(payload: string, type: string): Promise<Kept> {
  const etag = `"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`
  return { type, etag, gzipped: await promisify(gzip)(payload) }
}

async function serve({ type, etag, gzipped }: Kept, { headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const vary = reply.getHeader('vary')
  void reply.headers({ etag, 'cache-control': `public, max-age=${MAX_AGE_S}`, vary: [vary ?? [], 'accept-encoding'].flat().join(', ') })
  if (headers['if-none-match']?.includes(etag)) return reply.code(304).send()
  void reply.type(type)
  if (/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(headers['accept-encoding'] ?? ''))
    return reply.header('content-encoding', 'gzip').send(gzipped)
  return reply.send(await promisify(gunzip)(gzipped))
}
