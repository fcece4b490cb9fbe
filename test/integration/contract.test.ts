import { Parser } from '@asyncapi/parser'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import t from 'tap'
import { signToken } from '../../src/cli/token.js'
import { Claimant, workerToken } from '../support/claimant.js'
import { Contract, type OpenApi } from '../support/contract.js'
import { documentText } from '../support/documents.js'
import { SECRET, startHarness } from '../support/harness.js'

const h = await startHarness(t, { processor: null })
const documentOf = async (name: string) => (await h.call('GET', `/docs/${name}.json`, { token: null })).body

t.test('[DOC-1] the OpenAPI document has no fault, and names each schema once', async (t) => {
  const document = await documentOf('openapi')
  const source = JSON.stringify(document)
  const config = await createConfig({ extends: ['recommended-strict'] })
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config })
  t.same(
    problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer} ${message}`),
    [],
  )
  const { components, ...rest } = document
  t.notMatch(
    JSON.stringify([rest.paths, Object.values(components.schemas).map((schema) => ({ ...(schema as object), title: 0 }))]),
    /"title":"[A-Z]/,
  )
})

t.test('[DOC-2] the AsyncAPI document has no fault, and four sockets in two dialects', async (t) => {
  const document = await documentOf('asyncapi')
  const { diagnostics } = await new Parser().parse(JSON.stringify(document))
  t.same(
    diagnostics.map(({ code, path, message }) => `${code} ${path.join('/')} ${message}`),
    [],
  )
  const addresses = Object.values<{ address: string }>(document.channels).map(({ address }) => address)
  t.same(addresses.toSorted(), ['/api/jobs/{id}/socket', '/api/v2/ws/optimizations/{id}', '/api/v2/ws/runs/{id}', '/ws'])
  t.match(document['x-close-codes'], [{ code: 1000, name: 'done', reconnect: false }])
})

t.test('the reference lists each route and each socket, and no other', async (t) => {
  const anonymous = (path = '') => path.replaceAll(/\{\w+\}/g, '{}')
  const listed = (file: string, pattern: RegExp, optional: string) =>
    [...documentText(file).matchAll(pattern)].map(([, path]) => anonymous(path)).filter((path) => path !== optional)
  const { paths } = (await documentOf('openapi')) as OpenApi
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((name) => `${name.toUpperCase()} ${path}`))
  // Only a hub with a kind of one's own has the two that are left out.
  t.same(listed('docs/reference/rest.md', /^\| `([A-Z]+ [^`]+)` \|/gm, 'POST /api/processes').toSorted(), routes.map(anonymous).toSorted())
  const { channels } = await documentOf('asyncapi')
  t.same(
    listed('docs/reference/sockets.md', /^\| `WS ([^`]+)` \|/gm, '/api/v2/ws/<path>/{}').toSorted(),
    Object.values<{ address: string }>(channels)
      .map(({ address }) => anonymous(address))
      .toSorted(),
  )
})

t.test('[DOC-3] each example of a request is accepted as it stands', async (t) => {
  const { paths } = (await documentOf('openapi')) as OpenApi
  const worker = new Claimant(h)
  const tokens: Readonly<Record<string, string>> = {
    '/api/revocations': signToken(SECRET, 'root', 600, { role: 'admin' }),
    '/api/v2/jobs/claim': workerToken(),
  }
  const tried: string[] = []
  /** Ids of jobs by the path that they were submitted to. */
  const made = new Map<string, string>()
  const idAt = (path: string) => made.get(path.replace('/{id}', '')) ?? [...made.values()][0] ?? ''
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { operationId, requestBody, responses }] of Object.entries(methods)) {
      // The body of an upload is no JSON.
      if (!requestBody?.content['application/json']) continue
      const { example, examples = {} } = requestBody.content['application/json']
      const bodies = example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
      t.ok(bodies.length > 0, operationId)
      tried.push(operationId)
      for (const body of bodies) {
        const token = tokens[path]
        const answer =
          operationId === 'reportJobEvents'
            ? await worker.post((body as { events: object[] }).events)
            : await h.call(
                method.toUpperCase() as 'POST',
                path.replace('{id}', () => idAt(path)),
                { body, ...(token && { token }) },
              )
        t.ok(answer.status < 300 && String(answer.status) in responses, `${operationId} ${answer.status} ${JSON.stringify(answer.body)}`)
        if (operationId === 'claimJob') worker.take(answer)
        if (operationId.startsWith('submit')) made.set(path, String(Object.values(answer.body)[0]))
      }
    }
  }
  t.same(tried.toSorted(), [
    'claimJob',
    'reportJobEvents',
    'revokeTokens',
    'submitBenchmark',
    'submitJob',
    'submitOptimization',
    'submitRun',
    'updateJob',
    'updateOptimization',
    'updateProcess',
    'updateRun',
  ])
})

t.test('[HTTP-8] an error is RFC 9457 where Accept names it', async (t) => {
  const problem = 'application/problem+json'
  for (const [accept, type] of [
    [problem, problem],
    [`application/json, ${problem}`, problem],
    [`application/json, ${problem};q=0.5`, 'application/json'],
    [`${problem};q=0`, 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
  ] as const) {
    const { status, headers, body } = await h.call('GET', '/api/v2/runs?limit=0', { headers: { accept } })
    t.equal(status, 422, accept)
    t.equal(headers.get('content-type'), `${type}; charset=utf-8`, accept)
    t.match(headers.get('vary'), /\baccept\b/)
    const issue = { path: '/querystring/limit', expected: String }
    if (type === problem)
      t.match(body, { type: 'urn:runcast:error:invalid', title: String, status, detail: String, error: 'invalid', issues: [issue] })
    else t.match(body, { error: 'invalid', message: String, detail: [issue] })
  }
  for (const [method, path, status] of [
    ['GET', '/nowhere', 404],
    ['DELETE', '/livez', 405],
  ] as const) {
    t.match(await h.call(method, path, { headers: { accept: problem } }), { status, body: { status } })
  }
})

t.test('an answer or a message that is not in the documents fails its test', async (t) => {
  const contract = new Contract(await documentOf('openapi'), await documentOf('asyncapi'))
  const answer = { method: 'GET', url: '/api/v2/runs/x?token=y', status: 404, type: 'application/json; charset=utf-8', body: '' }
  const body = JSON.stringify({ error: 'not_found', message: '', detail: [] })
  contract.checkAnswer({ ...answer, body })
  contract.checkMessage('/ws', { type: 'pong' })
  contract.checkMessage('/elsewhere', { type: 'whatever' })
  t.throws(() => contract.checkAnswer({ ...answer, body: '{"error":"not_found"}' }), /required/)
  t.throws(() => contract.checkAnswer({ ...answer, body: body.replace('not_found', 'nope') }), /\/error/)
  t.throws(() => contract.checkAnswer({ ...answer, body: body.replace('}', ',"more":1}') }), /more/)
  t.throws(() => contract.checkAnswer({ ...answer, body, status: 409 }), /no such status/)
  t.throws(() => contract.checkAnswer({ ...answer, body, type: 'text/plain' }), /application\/problem\+json/)
  t.throws(() => contract.checkAnswer({ ...answer, url: '/nowhere', body: '{}' }), /required/)
  t.throws(() => contract.checkMessage('/ws', { type: 'pong', more: 1 }), /more/)
  t.throws(() => contract.checkMessage('/ws', { type: 'nope' }), /no message of type nope/)
  t.throws(() => contract.checkMessage('/api/v2/runs/x/events', { type: 'heartbeat', more: 1 }), /more/)
})
