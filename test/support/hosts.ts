import { once } from 'node:events'
import { connect } from 'node:net'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { type RuncastPluginOptions, runcast } from '../../src/app/fastify-plugin.js'
import type { LoggedIn } from '../../src/http/plugins/login.js'
import type { Harness } from './harness.js'
import type { TestClient } from './test-client.js'

/** Path of the hub in the host. */
export const PREFIX = '/runs'

/**
 * Where the host registers its own WebSocket plugin: at the root before or after the hub, in its own scope, or nowhere.
 */
export type SocketPlugin = 'before' | 'after' | 'scope' | 'none'

export interface Host {
  readonly app: FastifyInstance
  readonly origin: string
  /** URL of the hub, `http://…`. */
  readonly hub: string
  /** Warnings in the log of the host. */
  readonly warnings: readonly object[]
}

export interface HostOptions extends Partial<RuncastPluginOptions> {
  readonly sockets?: SocketPlugin
  /** Options of the Fastify server of the host. */
  readonly server?: FastifyServerOptions
  readonly maxConnections?: number
  /** Whether the hub is mounted. */
  readonly hasHub?: boolean
}

/** Users by their cookie `session`. */
export const USERS: ReadonlyMap<string, LoggedIn> = new Map<string, LoggedIn>([
  ['of-alice', { sub: 'alice', role: 'user' }],
  ['of-bob', { sub: 'bob', role: 'user' }],
  ['of-root', { sub: 'root', role: 'admin' }],
  ['of-worker', { sub: 'w1', role: 'worker' }],
])

export const loginOf = (request: FastifyRequest): LoggedIn | null => USERS.get(request.cookies.session ?? '') ?? null

/**
 * A Fastify server with its own routes, parsers, CORS, headers and error pages, and a hub on the Redis of a harness.
 */
export async function startFastifyHost(
  t: Test,
  h: Harness,
  { sockets = 'before', hasHub = true, server, maxConnections, ...options }: HostOptions = {},
): Promise<Host> {
  const warnings: object[] = []
  const stream = { write: (line: string) => void (JSON.parse(line).level >= 40 && warnings.push(JSON.parse(line))) }
  const app: FastifyInstance = Fastify({ logger: { level: 'warn', stream }, ...server })
  if (maxConnections !== undefined) app.server.maxConnections = maxConnections
  await app.register(cookie)
  await app.register(cors, { origin: 'https://own.example' })
  app.addHook('onSend', (_request, reply, payload, done) => {
    void reply.header('x-host', 'own')
    done(null, payload)
  })
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ own: error.message }),
  )
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/html').send('<h1>own 404</h1>'))
  app.addContentTypeParser('text/csv', { parseAs: 'string' }, (_request, body, done) => done(null, String(body).split(',')))
  app.get('/own', async ({ url }) => ({ url }))
  app.post('/own', async ({ body }) => ({ body }))
  app.get('/own/fault', async () => {
    throw new Error('own fault')
  })
  const chat = (scope: FastifyInstance) =>
    scope.get('/chat', { websocket: true }, (socket) => {
      socket.on('message', (data) => socket.send(JSON.stringify({ own: String(data) })))
    })
  const withSockets = async () => {
    await app.register(websocket)
    chat(app)
  }
  if (sockets === 'before') await withSockets()
  if (hasHub) {
    const { url, prefix } = h.redis
    const usual = { prefix: PREFIX, redis: { url, prefix }, authenticate: loginOf, drainMs: 0, lingerMs: 100, docs: false }
    await app.register(runcast, { ...usual, ...options })
  }
  if (sockets === 'after') await withSockets()
  if (sockets === 'scope') {
    await app.register(async (scope) => {
      await scope.register(websocket)
      chat(scope)
    })
  }
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { app, origin, hub: `${origin}${PREFIX}`, warnings }
}

/** Sends bytes and returns all bytes that arrive until the connection closes. */
export async function sendRaw(origin: string, text: string): Promise<string> {
  const { port } = new URL(origin)
  const socket = connect({ port: Number(port), host: '127.0.0.1' })
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

/** The HTTP status of a rejected upgrade. */
export async function upgradeStatus({ socket }: TestClient): Promise<number> {
  const [, response] = await once(socket, 'unexpected-response')
  response.resume()
  return response.statusCode
}
