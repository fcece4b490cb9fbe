import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import fastifySwagger from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isInstalled } from '../../config/optional-package.js'

/** Browsers load nothing from other origins, whatever the script of the page requests. */
const POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

const MAX_AGE_S = 600

/** Renders the page; an optional peer dependency. */
const REFERENCE = '@scalar/fastify-api-reference'

export interface DocsOptions {
  /** The URL at which clients reach the hub; empty if not configured. */
  readonly publicUrl: string
}

/**
 * Serves the OpenAPI of all routes at `/docs`, generated from the schemas that validate them. Nothing is loaded from
 * other hosts. Without the optional package, only the document is served.
 */
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
      // The plugin's own redirect ignores the prefix.
      pages.addHook('onRequest', async (request, reply) => {
        void reply.header('content-security-policy', POLICY)
        if (request.routeOptions.url === '/docs') return reply.redirect(`${app.publicPath}/docs/`, 301)
      })
      cacheResponses(pages)
      if (isInstalled(REFERENCE)) {
        const { default: scalar } = await import('@scalar/fastify-api-reference')
        await pages.register(scalar, { routePrefix: '/docs', configuration: { withDefaultFonts: false, telemetry: false } })
      } else serveDocument(pages)
    })
  },
  { name: 'docs', dependencies: ['origins'] },
)

/** Serves the document. In place of the page: how to install it. */
function serveDocument(app: FastifyInstance): void {
  const hidden = { schema: { hide: true } }
  app.get('/docs', hidden, async () => {}) // the hook above redirects it
  app.get('/docs/', hidden, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(
      `The API reference page needs a package that is not installed with this hub. Install it and restart the hub:

  npm install ${REFERENCE}

The OpenAPI document: ${app.publicPath}/docs/openapi.json and ${app.publicPath}/docs/openapi.yaml
`,
    ),
  )
  app.get('/docs/openapi.json', hidden, async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())))
  app.get('/docs/openapi.yaml', hidden, async (_request, reply) => reply.type('application/yaml').send(app.swagger({ yaml: true })))
}

interface CachedResponse {
  readonly type: string
  readonly etag: string
  readonly gzipped: Buffer
}

/**
 * Generates the response of each route once, then serves it from memory, compressed and with an `ETag`. These routes
 * need no token, and their responses are large.
 */
function cacheResponses(app: FastifyInstance): void {
  const cached = new Map<string, Promise<CachedResponse>>()
  app.addHook('onRequest', async (request, reply) => {
    const response = cached.get(request.routeOptions.url ?? '')
    if (response) return serve(await response, request, reply)
  })
  app.addHook('onSend', async ({ method, routeOptions }, reply, payload) => {
    const url = routeOptions.url ?? ''
    if (method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string' || cached.has(url)) return payload
    cached.set(url, compress(payload, String(reply.getHeader('content-type'))))
    return payload
  })
}

async function compress(payload: string, type: string): Promise<CachedResponse> {
  const etag = `"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`
  return { type, etag, gzipped: await promisify(gzip)(payload) }
}

async function serve({ type, etag, gzipped }: CachedResponse, { headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const vary = reply.getHeader('vary')
  void reply.headers({ etag, 'cache-control': `public, max-age=${MAX_AGE_S}`, vary: [vary ?? [], 'accept-encoding'].flat().join(', ') })
  if (headers['if-none-match']?.includes(etag)) return reply.code(304).send()
  void reply.type(type)
  if (/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(headers['accept-encoding'] ?? ''))
    return reply.header('content-encoding', 'gzip').send(gzipped)
  return reply.send(await promisify(gunzip)(gzipped))
}
