/*
 * An Express server with a login of its own by cookie, and a hub on the same port: node examples/express/server.js
 * PORT, REDIS_URL and REDIS_PREFIX as for a hub. A worker runs beside it: npx --no-install runcast worker
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { mountHub } from 'runcast'

const { PORT = '3000', REDIS_URL = 'redis://127.0.0.1:6379', REDIS_PREFIX = 'runcast' } = process.env

/** Users of this example. A real server stores password hashes. */
const PASSWORDS = new Map([
  ['alice', 'wonderland'],
  ['bob', 'builder'],
])
const HOUR_MS = 3600_000

/** Session → user. A real server keeps sessions in a store. */
const sessions = new Map()

/**
 * The session of a request, from its cookie. The hub calls this for requests and for upgrades, so it reads the header
 * itself.
 */
const sessionOf = ({ headers }) => /(?:^|;\s*)session=([^;]+)/.exec(headers.cookie ?? '')?.[1]

const hub = await mountHub({
  prefix: '/runcast',
  redis: { url: REDIS_URL, prefix: REDIS_PREFIX },
  authenticate: (request) => sessions.get(sessionOf(request)) ?? null,
})

const app = express()
app.use(hub.handle) // before body parsers
app.use(express.json())
app.get('/', (_request, response) => response.sendFile(fileURLToPath(new URL('../fastify/page.html', import.meta.url))))
app.post('/login', (request, response) => {
  const { user, password } = request.body ?? {}
  if (typeof user !== 'string' || PASSWORDS.get(user) !== password) return response.status(401).json({ message: 'Wrong user or password.' })
  const session = randomUUID()
  sessions.set(session, { sub: user, role: 'user', expiresAt: Date.now() + HOUR_MS })
  response.cookie('session', session, { path: '/', httpOnly: true, sameSite: 'lax' }).json({ user })
})
app.post('/logout', (request, response) => {
  sessions.delete(sessionOf(request))
  response.clearCookie('session', { path: '/' }).json({})
})

const server = createServer({ headersTimeout: 10_000 }, app)
server.maxConnections = 10_000
server.on('upgrade', (request, socket, head) => {
  if (!hub.upgrade(request, socket, head)) socket.destroy()
})

async function close() {
  await hub.close()
  server.close()
  server.closeIdleConnections()
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close)
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening at http://127.0.0.1:${server.address().port}`))
