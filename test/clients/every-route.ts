/*
 * A client with types from the OpenAPI document calls every route of a hub: openapi-typescript writes `api.d.ts`, and
 * openapi-fetch is the client. `test/e2e/generated-clients.test.ts` compiles and runs this program. Prints the operations
 * that it has called.
 */
import assert from 'node:assert/strict'
import createClient from 'openapi-fetch'
import type { paths } from './api.js'

/** `any` and `unknown`: an answer of which the document says nothing. */
type IsVague<T> = [T] extends [never] ? true : unknown extends T ? true : false
type Vague<P extends keyof paths, M, S, C> = {
  [T in keyof C]: IsVague<C[T]> extends true ? [P, M, S, T] : never
}[keyof C]
type VagueAnswers = {
  [P in keyof paths]: {
    [M in keyof paths[P]]: paths[P][M] extends { responses: infer R }
      ? { [S in keyof R]: R[S] extends { content: infer C } ? Vague<P, M, S, C> : never }[keyof R]
      : never
  }[keyof paths[P]]
}[keyof paths]
const everyAnswerIsTyped: [Exclude<VagueAnswers, undefined>] extends [never] ? true : VagueAnswers = true
assert.ok(everyAnswerIsTyped)

const { HUB_URL: baseUrl = '', USER = '', ADMIN = '', WORKER = '' } = process.env
const called = new Set<string>()

function clientOf(token: string) {
  const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } })
  client.use({
    onRequest: ({ schemaPath, request }) => {
      called.add(`${request.method} ${schemaPath}`)
    },
  })
  return client
}

/** The data of an answer that must be a success, and JSON: a route that enqueues can also answer with a stream. */
function dataOf<T>({ data, error }: { data?: T; error?: unknown }): Exclude<T, string> {
  assert.ok(data !== undefined && typeof data !== 'string', JSON.stringify(error))
  return data as Exclude<T, string>
}

const user = clientOf(USER)
const admin = clientOf(ADMIN)
const worker = clientOf(WORKER)
const input = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 } as const
const at = (id: string) => ({ params: { path: { id } } })

assert.equal(dataOf(await user.GET('/livez')).status, 'live')
assert.equal(dataOf(await user.GET('/readyz')).writable, true)
const metrics = await user.GET('/metrics', { parseAs: 'text' })
assert.match(metrics.data ?? '', /^# HELP /)

// A run, which a worker over HTTP computes.
const run = dataOf(
  await user.POST('/api/v2/runs', { body: { run_id: 'typed-run', input }, params: { header: { 'Idempotency-Key': 'k' } } }),
)
assert.equal(run.run_id, 'typed-run')
const claim = dataOf(await worker.POST('/api/v2/jobs/claim', { body: { kind: 'run' } }))
const { round, token } = claim
const file = { params: { path: { id: claim.id, name: 'a.csv' } } }
const upload = await worker.PUT('/api/v2/jobs/{id}/artifacts/{name}', {
  params: { ...file.params, query: { round, claim_token: token } },
  body: 'a,b',
  bodySerializer: (body) => body,
  headers: { 'content-type': 'text/csv' },
})
assert.equal(dataOf(upload).bytes, 3)
const report = dataOf(
  await worker.POST('/api/v2/jobs/{id}/events', {
    ...at(claim.id),
    body: {
      ...{ round, token, n: 1 },
      events: [
        { type: 'progress', percent: 50, phase: 'solving', message: 'half way' },
        { type: 'completed', metrics_summary: { natural_frequency_hz: 20_000 } },
      ],
    },
  }),
)
assert.equal(report.cancel_requested, false)
for (;;) {
  const { status, result } = dataOf(await user.GET('/api/v2/runs/{id}', at('typed-run')))
  if (status !== 'completed') continue
  assert.ok(result?.type === 'completed')
  assert.equal(result.metrics_summary.natural_frequency_hz, 20_000)
  break
}
const { events } = dataOf(await user.GET('/api/v2/runs/{id}/events', { params: { path: { id: 'typed-run' }, query: { limit: 10 } } }))
assert.deepEqual(
  events.map(({ type }) => type),
  ['status', 'status', 'completed'],
)
for (const base of ['/api/v2/runs', '/api/processes', '/api/jobs'] as const) {
  assert.equal(dataOf(await user.GET(`${base}/{id}/artifacts`, at('typed-run'))).artifacts[0]?.name, 'a.csv')
  assert.equal((await user.GET(`${base}/{id}/artifacts/{name}`, { ...file, parseAs: 'text' })).data, 'a,b')
  assert.ok(dataOf(await user.GET(`${base}/{id}/log`, at('typed-run'))))
  assert.ok(dataOf(await user.GET(`${base}/{id}/series`, at('typed-run'))))
  assert.ok(dataOf(await user.GET(`${base}/{id}/input`, at('typed-run'))))
  assert.ok(dataOf(await user.PATCH(`${base}/{id}`, { ...at('typed-run'), body: { title: 'typed' } })))
}
assert.equal(dataOf(await user.GET('/api/v2/runs')).runs[0]?.run_id, 'typed-run')
const cancelled = await user.POST('/api/v2/runs/{id}/cancel', at('typed-run'))
assert.equal(cancelled.error?.error, 'already_final')
assert.equal((await user.POST('/api/v2/runs/{id}/retry', at('typed-run'))).error?.error, 'not_final')
assert.equal((await user.GET('/api/v2/runs/{id}', at('nobody'))).error?.error, 'not_found')

// An optimization.
const optimization = dataOf(
  await user.POST('/api/v2/optimizations', {
    body: {
      base: { ...input, height_mm: undefined },
      variables: [{ name: 'height_mm', min: 120, max: 130 }],
      objectives: [{ metric: 'frequency_deviation_pct', direction: 'minimize' }],
    },
  }),
).optimization_id
assert.equal(dataOf(await user.GET('/api/v2/optimizations/{id}', at(optimization))).front.length, 0)
assert.equal(dataOf(await user.GET('/api/v2/optimizations')).optimizations.length, 1)
assert.equal(dataOf(await user.GET('/api/v2/optimizations/{id}/events', at(optimization))).optimization_id, optimization)
assert.deepEqual(dataOf(await user.GET('/api/v2/optimizations/{id}/iterations', at(optimization))).iterations, [])
assert.deepEqual(dataOf(await user.GET('/api/v2/optimizations/{id}/artifacts', at(optimization))).artifacts, [])
const none = await user.GET('/api/v2/optimizations/{id}/artifacts/{name}', { params: { path: { id: optimization, name: 'none' } } })
assert.equal(none.error?.error, 'not_found')
assert.ok(dataOf(await user.GET('/api/v2/optimizations/{id}/log', at(optimization))))
assert.ok(dataOf(await user.GET('/api/v2/optimizations/{id}/series', at(optimization))))
assert.ok(dataOf(await user.GET('/api/v2/optimizations/{id}/input', at(optimization))))
assert.ok(dataOf(await user.PATCH('/api/v2/optimizations/{id}', { ...at(optimization), body: { tags: ['typed'] } })))
assert.equal(dataOf(await user.GET('/api/v2/optimizations/{id}/pareto', at(optimization))).best, null)
for (const action of ['pause', 'resume'] as const) {
  assert.equal((await user.POST(`/api/v2/optimizations/{id}/${action}`, at(optimization))).error?.error, 'not_running')
}
assert.equal(dataOf(await user.POST('/api/v2/optimizations/{id}/cancel', at(optimization))).status, 'cancelled')
assert.equal(dataOf(await user.POST('/api/v2/optimizations/{id}/retry', at(optimization))).status, 'queued')

// A benchmark, as a process and as a job.
const [model] = dataOf(await user.GET('/api/models')).models
const { process_id } = dataOf(await user.POST('/api/benchmark', { body: { models: [model?.id ?? ''], runs: 1 } }))
assert.equal(dataOf(await user.GET('/api/processes/{id}', at(process_id))).process_type, 'benchmark')
assert.equal(dataOf(await user.GET('/api/processes/{id}/events', at(process_id))).events[0]?.type, 'process_queued')
assert.equal(dataOf(await user.POST('/api/processes/{id}/cancel', at(process_id))).process_id, process_id)
assert.equal(dataOf(await user.POST('/api/processes/{id}/retry', at(process_id))).links.self, `/api/processes/${process_id}`)
assert.ok(dataOf(await user.GET('/api/processes', { params: { query: { status: 'active' } } })).processes.length > 0)
assert.equal((await user.GET('/api/processes/events')).error?.error, 'not_found', 'no job has the id events')
const live = await user.GET('/api/processes/events', { headers: { accept: 'text/event-stream' }, parseAs: 'stream' })
const reader = live.data?.pipeThrough(new TextDecoderStream()).getReader()
for (let text = ''; !text.includes('"process_list"'); ) {
  const { done, value } = (await reader?.read()) ?? { done: true }
  assert.ok(!done, text)
  text += value
}
await reader?.cancel()

const { id } = dataOf(await user.POST('/api/jobs', { body: { kind: 'run', input } }))
assert.equal(dataOf(await user.GET('/api/jobs/{id}', at(id))).kind, 'run')
assert.equal(dataOf(await user.GET('/api/jobs', { params: { query: { kind: 'run' } } })).jobs.length, 2)
assert.equal(dataOf(await user.GET('/api/jobs/{id}/events', at(id))).id, id)
for (const action of ['pause', 'resume'] as const) {
  assert.equal((await user.POST(`/api/jobs/{id}/${action}`, at(id))).error?.error, 'not_running')
}
assert.equal(dataOf(await user.POST('/api/jobs/{id}/cancel', at(id))).status, 'cancelled')
assert.equal(dataOf(await user.POST('/api/jobs/{id}/retry', at(id))).kind, 'run')

// Tokens.
const revocation = dataOf(await admin.POST('/api/revocations', { body: { sub: 'mallory' } }))
assert.equal(dataOf(await admin.GET('/api/revocations')).revocations[0]?.id, revocation.id)
assert.equal((await admin.DELETE('/api/revocations/{id}', at(revocation.id))).response.status, 204)
assert.equal((await user.GET('/api/revocations')).error?.error, 'forbidden')

// What all users do.
assert.ok(dataOf(await admin.GET('/api/admin/jobs', { params: { query: { limit: 10 } } })).jobs)
assert.ok(dataOf(await admin.GET('/api/admin/queues')).queues.length > 0)
assert.ok(dataOf(await admin.GET('/api/admin/workers')).claims)
assert.equal(dataOf(await admin.GET('/api/admin/sessions')).hubs.length, 1)
assert.equal((await admin.DELETE('/api/admin/sessions/{id}', at('nobody'))).error?.error, 'not_found')
assert.equal(dataOf(await admin.DELETE('/api/admin/sessions', { params: { query: { user: 'nobody' } } })).disconnected, 0)

console.log(JSON.stringify([...called].toSorted()))
