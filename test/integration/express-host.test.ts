import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { type MountOptions, mountHub } from '../../src/app/mounted-hub.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { PREFIX, sendRaw, USERS, upgradeStatus } from '../support/hosts.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'

const ALICE = { cookie: 'session=of-alice' }

const loginOf = ({ headers }: IncomingMessage) => USERS.get(headers.cookie?.replace(/^session=/, '') ?? '') ?? null

/** An Express server with a parser, routes, an error handler and a WebSocket of its own, and a hub beside them. `at`: where the hub's middleware is mounted. */
async function startExpressHost(t: Test, h: Harness, at = '/', options: Partial<MountOptions> = {}) {
  const { url, prefix } = h.redis
  const usual = { drainMs: 0, lingerMs: 100, docs: false, logLevel: 'silent' } as const
  const hub = await mountHub({ prefix: PREFIX, redis: { url, prefix }, authenticate: loginOf, ...usual, ...options })
  const app = express()
  app.use('/parsed', express.json())
  app.use('/parsed', (request, response, next) => {
    Object.assign(request, { baseUrl: '', url: `${PREFIX}/api/v2/runs` })
    hub.handle(request, response, next)
  })
  app.use(at, hub.handle)
  app.use(express.json())
  app.post('/own', (request, response) => void response.json({ body: request.body, url: request.originalUrl }))
  const onError: ErrorRequestHandler = (error, _request, response, _next) => void response.status(500).json({ own: error.message })
  app.use(onError)
  const server = createServer(app)
  const own = new WebSocketServer({ noServer: true })
  own.on('connection', (socket) => socket.on('message', (data) => socket.send(JSON.stringify({ own: String(data) }))))
  server.on('upgrade', (request, socket, head) => {
    if (!hub.upgrade(request, socket, head)) own.handleUpgrade(request, socket, head, (client) => own.emit('connection', client, request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    await hub.close()
    server.close()
    server.closeAllConnections()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { hub, origin, url: `${origin}${PREFIX}`, ws: `${origin.replace('http', 'ws')}${PREFIX}` }
}

t.test('[HOST-1] a hub in Express: REST, sockets and links below its prefix', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  for (const at of ['/', PREFIX]) {
    const host = await startExpressHost(t, h, at)
    const headers = { ...ALICE, origin: host.origin, 'content-type': 'application/json' }
    const body = JSON.stringify({ input: HORN })
    const submitted = await fetch(`${host.url}/api/v2/runs`, { method: 'POST', headers, body })
    t.equal(submitted.status, 202)
    const { run_id: id, links } = (await submitted.json()) as { run_id: string; links: Record<string, string> }
    t.equal(submitted.headers.get('location'), `${PREFIX}/api/v2/runs/${id}`)
    const client = new TestClient(`${host.origin.replace('http', 'ws')}${links.socket}`, { ...ALICE, origin: host.origin })
    t.match(await client.next(), { type: 'status', run_id: id })
    t.equal((await fetch(`${host.origin}${links.cancel}`, { method: 'POST', headers: ALICE })).status, 403)
    t.equal(
      (await fetch(`${host.origin}${links.cancel}`, { method: 'POST', headers: { ...headers, origin: 'https://evil.example' } })).status,
      403,
    )
    const evil = new TestClient(`${host.ws}/ws`, { ...ALICE, origin: 'https://evil.example' })
    t.equal(await upgradeStatus(evil), 403)
    t.equal((await fetch(`${host.origin}${links.cancel}`, { method: 'POST', headers })).status, 202)
    t.match(await client.next('cancelled'), { run_id: id })
    t.match(await (await fetch(`${host.url}/nothing`)).json(), { error: 'no_route' })

    const offer = `Host: ${new URL(host.origin).host}\r\nCookie: ${ALICE.cookie}\r\nOrigin: ${host.origin}\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n`
    const post = `POST ${host.origin}${PREFIX}/api/v2/runs HTTP/1.1\r\n${offer}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    t.match(await sendRaw(host.origin, `${post}${body}`), '202 Accepted', 'a whole URL, and an offer of HTTP/2')

    const own = await fetch(`${host.origin}/own?a=1`, { method: 'POST', headers, body: '{"a":1}' })
    t.same(await own.json(), { body: { a: 1 }, url: '/own?a=1' })
    t.match(await (await fetch(`${host.origin}/parsed`, { method: 'POST', headers, body })).json(), { own: /before body parsers/ })
    const chat = new TestClient(`${host.origin.replace('http', 'ws')}/chat`)
    await chat.opened
    chat.send('hello')
    t.same(await chat.next(), { own: 'hello' })
    chat.terminate()
    client.terminate()
  }
  t.same(h.faults, [])
})

t.test('[HOST-5] a hub in Express that closes ends its clients with 1012 and takes no more', async (t) => {
  const h = await startHarness(t, { processor: null })
  const host = await startExpressHost(t, h)
  const client = new TestClient(`${host.ws}/ws`, ALICE)
  await client.next('process_list')
  await host.hub.close()
  t.match(await client.closed, { code: 1012 })
  t.equal(await upgradeStatus(new TestClient(`${host.ws}/ws`, ALICE)), 503)
})
