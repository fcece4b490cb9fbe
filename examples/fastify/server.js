/*
 * A Fastify server with a login of its own by cookie, and a hub on the same port: node examples/fastify/server.js
 * PORT, REDIS_URL and REDIS_PREFIX as for a hub. A worker runs beside it: npx --no-install runcast worker
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import cookie from '@fastify/cookie'
import Fastify from 'fastify'
import { runcast } from 'runcast'

const { PORT = '3000', REDIS_URL = 'redis://127.0.0.1:6379', REDIS_PREFIX = 'runcast' } = process.env

/** Users of this example. A real server stores password hashes. */
const PASSWORDS = new Map([
  ['alice', 'wonderland'],
  ['bob', 'builder'],
])
const HOUR_MS = 3600_000

/** Session → user. A real server keeps sessions in a store. */
const sessions = new Map()
const page = await readFile(new URL('page.html', import.meta.url))

const app = Fastify({ http: { headersTimeout: 10_000 } })
app.server.maxConnections = 10_000
await app.register(cookie)

app.get('/', (_request, reply) => reply.type('text/html').send(page))
app.post('/login', (request, reply) => {
  const { user, password } = request.body ?? {}
  if (typeof user !== 'string' || PASSWORDS.get(user) !== password) return reply.code(401).send({ message: 'Wrong user or password.' })
  const session = randomUUID()
  sessions.set(session, { sub: user, role: 'user', expiresAt: Date.now() + HOUR_MS })
  return reply.setCookie('session', session, { path: '/', httpOnly: true, sameSite: 'lax' }).send({ user })
})
app.post('/logout', (request, reply) => {
  sessions.delete(request.cookies.session)
  return reply.clearCookie('session', { path: '/' }).send({})
})

await app.register(runcast, {
  prefix: '/runcast',
  redis: { url: REDIS_URL, prefix: REDIS_PREFIX },
  authenticate: (request) => sessions.get(request.cookies.session) ?? null,
})

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
console.log(`listening at ${await app.listen({ port: Number(PORT), host: '127.0.0.1' })}`)
