import { Writable } from 'node:stream'
import Fastify, { type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { requestLogging } from '../../src/http/plugins/request-logging.js'
import { health } from '../../src/http/routes/health.js'

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl_-'

/** One URL for each way to write a token that a client has found so far. */
function urlsWith(token: string): string[] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const percent = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')
  const encodings = [
    token,
    token.replaceAll('.', '%2e'),
    token.replaceAll('.', '%2E'),
    token.replaceAll('.', '%252e'),
    token.replace('y', '%79'),
    token.replace('eyJ', 'eyJ%25'),
    percent(token),
    percent(percent(token)),
    encodeURIComponent(`Bearer ${token}`),
    `"${token}"`,
    [header, payload, signature].join('/'),
    [header, payload, signature].join('&'),
    Buffer.from(token).toString('base64url'),
  ]
  return encodings.flatMap((text) => [`/api/${text}`, `/api/x?token=${text}`, `/api/x?jwt=${text}`, `/nowhere/${text}`])
}

t.test('[CODE-2] of a URL only the route is logged, however a token in it is written', async (t) => {
  const urls = urlsWith(JWT)
  t.ok(urls.length > 40)
  const { app, lines } = logged()
  t.teardown(() => app.close())
  app.get('/api/:id', async () => ({}))
  for (const url of urls) {
    lines.length = 0
    await app.inject({ method: 'GET', url })
    const { req } = JSON.parse(lines[0] ?? '')
    const route = /^\/api\/[^/?]+($|\?)/.test(url) ? '/api/:id' : 'unmatched'
    t.same(req, { method: 'GET', route, remoteAddress: '127.0.0.1' }, url)
    const parts = url.split(/[/?&=]/).filter((part) => part.length > 8)
    t.notOk(
      parts.some((part) => lines.join('').includes(part)),
      url,
    )
  }
})

t.test('[CODE-2] a request is logged by method, route and address: no header, no body', async (t) => {
  const { app, lines } = logged()
  t.teardown(() => app.close())
  app.post('/echo', async () => ({}))
  app.get('/fails', async () => {
    throw new Error('on purpose')
  })
  const headers = { authorization: `Bearer ${JWT}`, cookie: `token=${JWT}` }
  await app.inject({ method: 'POST', url: `/echo?token=${JWT}`, headers, payload: { secret: 'in the body' } })
  await app.inject({ method: 'GET', url: '/fails?token=abc-def', headers })
  const log = lines.join('')
  const [incoming] = lines.map((line) => JSON.parse(line))
  t.same(incoming.req, { method: 'POST', route: '/echo', remoteAddress: '127.0.0.1' })
  t.match(log, 'on purpose')
  for (const secret of [JWT, 'abc-def', 'in the body', 'Bearer']) t.notOk(log.includes(secret), secret)
})

t.test('[CODE-2] the bytes of a request that cannot be parsed are not logged', async (t) => {
  const { app, lines } = logged()
  t.teardown(() => app.close())
  await app.ready()
  const error = Object.assign(new Error('Parse Error'), { code: 'HPE_INVALID', rawPacket: Buffer.from(`GET /?token=${JWT}`) })
  app.log.trace({ err: error }, 'client error')
  t.match(JSON.parse(lines.at(-1) ?? ''), { msg: 'client error', err: { code: 'HPE_INVALID', message: 'Parse Error' } })
  t.notMatch(lines.at(-1), 'rawPacket')
})

t.test('[CODE-2] of an error of Redis, the command with its arguments is not logged', async (t) => {
  const { app, lines } = logged()
  const command = { name: 'hello', args: ['3', 'AUTH', 'default', 'the-password'] }
  app.log.error(Object.assign(new Error('WRONGPASS'), { command, previousErrors: [{ command }], lastNodeError: { command } }))
  app.log.error({ err: Object.assign(new Error('OOM'), { command }) }, 'redis fault')
  t.equal(lines.length, 2)
  t.match(lines.join(''), /WRONGPASS.*OOM/s)
  t.notMatch(lines.join(''), /the-password/)
})

t.test('silent means no logger at all', async (t) => {
  t.same(requestLogging('silent'), { logger: false })
})

/** A server that logs all into lines. */
function logged() {
  const lines: string[] = []
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk))
      done()
    },
  })
  const { logger } = requestLogging('trace')
  const options: FastifyServerOptions = { logger: { ...Object(logger), stream }, routerOptions: { maxParamLength: 65_536 } }
  const app = Fastify(options)
  // Fastify's own answer to what there is not logs the address.
  app.setNotFoundHandler(async () => ({}))
  return { app, lines }
}

t.test('[OPS-1] probes, which come each second, leave no line in the log', async (t) => {
  const lines: string[] = []
  const stream = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(`${chunk}`)) })
  const app = Fastify({ logger: { level: 'info', stream } })
  await app.register(health, { checks: { redis: async () => false }, store: async () => ({ writable: false }) })
  app.get('/api', async () => 'ok')
  for (const url of ['/livez', '/readyz', '/api']) await app.inject(url)
  t.equal(lines.length, 2)
  t.ok(lines.every((line) => line.includes('req-3')))
})

t.test('[OPS-4] an answer is logged with its user and, if it exists, the job', async (t) => {
  const { app, lines } = logged()
  t.teardown(() => app.close())
  const identity = { sub: 'alice', role: 'user', issuedAt: 0, expiresAt: 0 } as const
  app.get('/api/:id', async (request, reply) => {
    const { id } = request.params as { id: string }
    request.identity = identity
    return reply.code(id === 'beam' ? 200 : 404).send({})
  })
  for (const id of ['beam', JWT]) await app.inject(`/api/${id}`)
  const answers = lines.map((line) => JSON.parse(line)).flatMap(({ res }) => (res ? [res] : []))
  t.same(answers, [
    { statusCode: 200, user: 'alice', job: 'beam' },
    { statusCode: 404, user: 'alice' },
  ])
})
