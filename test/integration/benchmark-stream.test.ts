import t from 'tap'
import { startBenchHarness } from '../support/bench-harness.js'
import { eventually } from '../support/eventually.js'
import type { Message } from '../support/inbox.js'
import { SseClient } from '../support/sse-client.js'

t.test('[SSE-8] [BENCH-12] a benchmark is streamed to its end by the request that starts it', async (t) => {
  const h = await startBenchHarness(t, { nodes: 2 })
  const open = (body: object, { method = 'POST', path = '/api/benchmark', headers = {}, node = 0 } = {}) => {
    const json = { 'content-type': 'application/json', authorization: `Bearer ${h.token()}`, ...headers }
    const client = new SseClient(`${h.nodes[node]?.http}${path}`, {
      method,
      headers: json,
      ...(method === 'POST' && { body: JSON.stringify(body) }),
    })
    h.onTeardown(() => client.terminate())
    return client
  }
  const BODY = { models: ['local/ngram'], context_tiers: [0], runs: 3, max_tokens: 16, warmup: 0 }

  const client = open({ process_id: 'b-1', ...BODY })
  t.match((await client.opened).headers, { 'content-type': /^text\/event-stream/, location: '/api/processes/b-1' })
  t.match(
    await client.next(),
    { type: 'subscribed', process_id: 'b-1', process: { process_type: 'benchmark' } },
    'the first names the process',
  )
  const completed = await client.next('process_completed')
  t.match(await client.closed, { code: 1000, name: 'done' })
  const results = client.messages.filter(({ type }: Message) => type === 'process_result')
  t.equal(results.length, 3)
  const { body: stored } = await h.call('GET', '/api/processes/b-1')
  t.same(stored.result, completed)
  const { body: page } = await h.call('GET', '/api/processes/b-1/events')
  t.same(
    page.events.filter(({ type }: Message) => type === 'process_result'),
    results,
    'what was streamed is what is logged',
  )
  const late = open({ process_id: 'b-1', ...BODY })
  t.match(await late.closed, { code: 1000, name: 'done' })
  t.same(
    late.messages.filter(({ type }: Message) => type === 'process_result'),
    results,
    'a stream that begins behind the job has all of it',
  )

  // Left in the middle it goes on, and the other node resumes behind the last event.
  const left = open({ process_id: 'b-2', ...BODY, runs: 20 })
  await left.next('process_result')
  const { lastEventId } = left
  left.terminate()
  const back = open({}, { method: 'GET', path: '/api/processes/b-2/events', headers: { 'last-event-id': lastEventId }, node: 1 })
  t.match(await back.next(), { type: 'subscribed', recovered: true })
  await back.next('process_completed')
  const seqs = (of: SseClient) => of.messages.flatMap(({ type, seq }: Message) => (type === 'process_result' ? seq : []))
  const until = Number(lastEventId.split(':')[1])
  const all = [...seqs(left).filter((seq) => seq <= until), ...seqs(back)]
  t.equal(all.length, 20)
  t.equal(new Set(all).size, 20, 'each result once')

  const accepted = await h.call('POST', '/api/benchmark', { body: { process_id: 'b-1', ...BODY } })
  t.match(accepted, {
    status: 202,
    body: { process_id: 'b-1', process_type: 'benchmark', status: 'completed', links: { retry: '/api/processes/b-1/retry' } },
  })
  const keyed = await Promise.all(
    [0, 1, 0].map((node) => h.call('POST', '/api/benchmark', { node, headers: { 'idempotency-key': 'k' }, body: { ...BODY, runs: 1 } })),
  )
  t.equal(new Set(keyed.map(({ body }) => body.process_id)).size, 1, 'the same key starts one')
  await eventually(async () => (await h.call('GET', `/api/processes/${keyed[0]?.body.process_id}`)).body.status === 'completed')
  const refused = await open({ ...BODY, models: ['local/nothing'] }).opened
  t.match({ status: refused.statusCode, type: refused.headers['content-type'] }, { status: 422, type: /json/ })
  t.same(h.faults, [])
})
