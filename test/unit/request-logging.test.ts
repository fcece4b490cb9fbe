import { Writable } from 'node:stream'
import Fastify, { type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { requestLogging, withoutToken } from '../../src/http/plugins/request-logging.js'
import { health } from '../../src/http/routes/health.js'

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl_-'

t.test('[CODE-2] tokens in URLs are blotted out, and nothing else', async (t) => {
  const cases: Record<string, string> = {
    '/api': '/api',
    '/api?': '/api?',
    '/api?after=1&epoch=a.b': '/api?after=1&epoch=a.b',
    [`/api?token=${JWT}`]: '/api?token=***',
    '/api?token=abc': '/api?token=***',
    '/api?token': '/api?token=***',
    '/api?token=': '/api?token=***',
    '/api?token=a=b': '/api?token=***',
    '/api?a=1&token=abc&b=2': '/api?a=1&token=***&b=2',
    '/api?token=abc&token=def': '/api?token=***&token=***',
    '/api?TOKEN=abc&Token=def': '/api?token=***&token=***',
    '/api?%74oken=abc': '/api?token=***',
    '/api?%74%6F%6B%65%6E=abc': '/api?token=***',
    '/api?%zz=abc': '/api?token=***',
    '/api?tokens=3': '/api?tokens=3',
    '/api?note=token': '/api?note=token',
    '/token?a=1': '/token?a=1',
    '/api?a=1?token=abc': '/api?a=1?token=abc',
    [`/api?a=1?token=${JWT}`]: '/api?a=1?token=***',
    [`/api?access_token=${JWT}`]: '/api?access_token=***',
    [`/api%3Ftoken%3D${JWT}`]: '/api%3Ftoken%3D***',
    [`/${JWT}/${JWT}`]: '/***/***',
    [`/v1.2.${JWT}`]: '/v1.2.***',
    '/eyJ.job': '/eyJ.job',
    '/a.b.c-eyJ?x=1.2.3': '/a.b.c-eyJ?x=1.2.3',
    '': '',
  }
  for (const [url, expected] of Object.entries(cases)) t.equal(withoutToken(url), expected, url)
})

t.test('[CODE-2] a request is logged by method, address and blotted URL: no header, no body', async (t) => {
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
  t.same(incoming.req, { method: 'POST', url: '/echo?token=***', remoteAddress: '127.0.0.1' })
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

t.test('[CODE-2] blotting out costs no more than the length of the URL', async (t) => {
  // Some 20 ms. At a cost by the square of it this would not end before the time of this file has.
  const url = `/x?${'eyJ'.repeat(1_000_000)}`
  t.equal(withoutToken(url), url, 'which is no token')
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
  const options: FastifyServerOptions = { logger: { ...Object(logger), stream } }
  return { app: Fastify(options), lines }
}

t.test('[OPS-1] probes, which come each second, leave no line in the log', async (t) => {
  const lines: string[] = []
  const stream = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(`${chunk}`)) })
  const app = Fastify({ logger: { level: 'info', stream } })
  await app.register(health, { checks: { redis: async () => false } })
  app.get('/api', async () => 'ok')
  for (const url of ['/livez', '/readyz', '/api']) await app.inject(url)
  t.equal(lines.length, 2)
  t.ok(lines.every((line) => line.includes('req-3')))
})
