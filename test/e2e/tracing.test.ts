import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { context, propagation, trace } from '@opentelemetry/api'
import { NodeSDK, type tracing } from '@opentelemetry/sdk-node'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { signToken } from '../../src/cli/token.js'
import { createClient } from '../../src/client/index.js'
import { eventually } from '../support/eventually.js'
import { SECRET, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import { sharedTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { startWorkerProcess } from '../support/worker-process.js'

const INDEX = new URL('../../src/index.js', import.meta.url).href
const PARENT = '00f067aa0ba902b7'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

/** A span as OTLP/JSON sends it. */
interface OtlpSpan {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly status: { readonly code?: number; readonly message?: string }
  readonly attributes: Readonly<Record<string, unknown>>
}

interface OtlpAttribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

/** A collector that keeps all spans, and the text of all requests. */
async function startCollector(t: Test) {
  const spans: OtlpSpan[] = []
  const texts: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    texts.push(text)
    for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
      const service = String(flat(resource.attributes)['service.name'])
      for (const { spans: sent } of scopeSpans)
        spans.push(...sent.map((span: { attributes: OtlpAttribute[] }) => ({ ...span, service, attributes: flat(span.attributes) })))
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, text: () => texts.join('\n') }
}

function flat(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}

/** A kind that fails once, and whose library makes a span of its own. */
const KIND = `
import { createRequire } from 'node:module'
import { defineKind } from ${JSON.stringify(INDEX)}
const { trace } = createRequire(${JSON.stringify(import.meta.url)})('@opentelemetry/api')
let attempts = 0
export const hiccup = defineKind({
  name: 'hiccup',
  attempts: 2,
  dialect: 'process',
  input: { type: 'object', properties: { note: { type: 'string' } }, required: ['note'], additionalProperties: false },
  run: async (_input, job) => {
    trace.getTracer('library').startSpan('query').end()
    attempts += 1
    if (attempts === 1) throw new Error('a hiccup with private words')
    return { traceparent: job.traceparent }
  },
})
`

t.test('[TRACE-2] one trace from the caller over the hub to both attempts of a worker', async (t) => {
  const [redis, collector] = await Promise.all([sharedTestRedis(), startCollector(t)])
  const settings = {
    KINDS_MODULES: join(t.testdir({ 'kinds.mjs': KIND }), 'kinds.mjs'),
    WORKER_KINDS: 'hiccup',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '20',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '1',
    OTEL_LOG_LEVEL: 'error',
  }
  startWorkerProcess(t, { redis }, { ...settings, OTEL_SERVICE_NAME: 'my-worker' })
  const hub = await startHub(t, { redis }, settings)
  const token = signToken(SECRET, 'alice@example.org', 60)
  const client = createClient({ url: hub.http, token, WebSocket })
  t.teardown(() => client.close())
  const job = await client.submit('hiccup', { note: 'private words' }, { id: 'j1', traceparent: `00-${TRACE}-${PARENT}-01` })
  const result = (await job.result()) as { readonly traceparent: string }

  const named = (name: string) => collector.spans.filter((span) => span.name === name)
  await eventually(() => named('process hiccup').length === 2 && named('query').length === 2 && named('submit hiccup').length === 1)
  const [[request], [submit], [first, second], queries] = [
    collector.spans.filter(({ parentSpanId }) => parentSpanId === PARENT),
    named('submit hiccup'),
    named('process hiccup').toSorted((a, b) => Number(a.attributes['runcast.attempt']) - Number(b.attributes['runcast.attempt'])),
    named('query'),
  ]
  const about = { 'messaging.destination.name': 'hiccup', 'runcast.job.id': 'j1', 'runcast.kind': 'hiccup' }
  t.match(request, {
    ...{ service: 'runcast-hub', traceId: TRACE, kind: 2, name: 'POST /api/jobs', status: {} },
    attributes: { 'http.request.method': 'POST', 'http.route': '/api/jobs', 'http.response.status_code': 202 },
  })
  t.match(submit, { service: 'runcast-hub', traceId: TRACE, parentSpanId: request?.spanId, kind: 4, attributes: about })
  const attempt = { service: 'my-worker', traceId: TRACE, parentSpanId: submit?.spanId, kind: 5 }
  t.match(first, {
    ...attempt,
    status: { code: 2, message: 'solver_error' },
    attributes: { ...about, 'runcast.attempt': 1, 'runcast.wait_s': Number, 'runcast.outcome': 'retrying', 'error.type': 'solver_error' },
  })
  t.match(second, { ...attempt, status: {}, attributes: { ...about, 'runcast.attempt': 2, 'runcast.outcome': 'completed' } })
  t.ok(Number(second?.attributes['runcast.wait_s']) >= 1, 'with the delay before the retry')
  t.same(queries.map(({ parentSpanId }) => parentSpanId).toSorted(), [first?.spanId, second?.spanId].toSorted(), 'spans of libraries nest')
  t.equal(result.traceparent, `00-${TRACE}-${second?.spanId}-01`)
  for (const secret of ['alice', 'private', token]) t.notMatch(collector.text(), secret)
  t.notMatch(collector.text(), /livez|readyz/)
})

t.test('[TRACE-2] a program with a tracer provider: its hub and worker use it; streams and sockets', async (t) => {
  const ended: tracing.ReadableSpan[] = []
  const nothing = async () => {}
  const collect = { onStart: () => {}, onEnd: (span: tracing.ReadableSpan) => ended.push(span), forceFlush: nothing, shutdown: nothing }
  const sdk = new NodeSDK({ spanProcessors: [collect], metricReaders: [], logRecordProcessors: [], autoDetectResources: false })
  sdk.start()
  t.teardown(() => {
    for (const api of [trace, context, propagation]) api.disable()
  })
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const named = (name: string) => ended.filter((span) => span.name === name)
  const id = await h.submit()
  const { job, complete } = await stage.play(id)
  const [submit] = named('submit run')
  t.match(job.traceparent, /^00-/)
  t.notMatch(job.traceparent, submit?.spanContext().spanId ?? '', 'it is that of the attempt')

  const socket = await h.connect(id)
  const stop = new AbortController()
  const stream = await fetch(`${h.nodes[0]?.http}/api/v2/runs/${id}/events?token=${h.token()}`, {
    headers: { accept: 'text/event-stream' },
    signal: stop.signal,
  })
  t.equal(stream.status, 200)
  await eventually(() => ended.some(({ attributes }) => String(attributes['http.route']).endsWith('/events')))
  t.match(await h.call('GET', '/api/nothing'), { status: 404 })
  await eventually(() => named('GET').length === 1)
  stop.abort()
  complete()
  await socket.next('completed')
  await eventually(() => named('process run').length === 1)
  const text = JSON.stringify(ended.map(({ name, attributes, status }) => ({ name, attributes, status })))
  t.notMatch(text, '/ws/', 'a socket has no span')
  t.notMatch(text, h.token())
  t.same(named('process run')[0]?.parentSpanContext?.spanId, submit?.spanContext().spanId)
  t.same(h.faults, [])
})
