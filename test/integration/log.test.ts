import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { createClient as createRedisClient } from '../../src/app/create-client.js'
import { createClient } from '../../src/client/create-client.js'
import { watchJob } from '../../src/client/watch-job.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { SseClient } from '../support/sse-client.js'
import { type Message, TestClient } from '../support/test-client.js'

/** A harness whose runs do what each test says. */
async function setUp(t: Test, act: RunProcessor, env: Readonly<Record<string, string>> = {}) {
  return startHarness(t, { processor: act, nodes: 2, env })
}

/** The lines of `log` messages by number, as a client knows them that drops what is not kept any more. */
function fold(messages: readonly Message[], most = 5000) {
  let epoch: string | undefined
  let lines = new Map<number, string>()
  let isComplete = false
  for (const message of messages) {
    if (message.type !== 'log' && message.type !== 'process_log') continue
    if ('seq' in message) throw new Error('a log message has no seq')
    if (message.epoch !== epoch) lines = new Map()
    epoch = message.epoch
    for (const [i, { text }] of message.lines.entries()) {
      const n = message.first + i
      if (lines.size > 0 && n > Math.max(...[...lines.keys()].slice(-1)) + 1) lines = new Map()
      lines.set(n, text)
    }
    while (lines.size > most) lines.delete(Math.min(...[...lines.keys()].slice(0, 1)))
    isComplete = message.end === true
  }
  return { first: [...lines.keys()][0] ?? 0, texts: [...lines.values()], isComplete }
}

const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}`)

/** All pages of the log, over REST. */
async function pagesOf(h: Awaited<ReturnType<typeof setUp>>, path: string, limit = 1000) {
  const texts: string[] = []
  let first = 0
  for (let before = ''; ; ) {
    const { status, body } = await h.call('GET', `${path}/log?limit=${limit}${before}`)
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
    texts.unshift(...body.lines.map(({ text }: Message) => text))
    first = body.first
    if (body.next_before === null) return { first, texts, page: body }
    before = `&before=${body.next_before}`
  }
}

t.test('[LOG-3] [LOG-4] late, slow, resumed viewers and REST end with the same last lines', async (t) => {
  const count = 100_000
  let start = () => {}
  const begun = new Promise<void>((resolve) => {
    start = resolve
  })
  const h = await setUp(t, async (_input, job) => {
    await begun
    for (let i = 1; i <= count; i += 1) {
      job.log(`line ${i}`)
      if (i % 5000 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return { metrics_summary: {} }
  })
  const id = await h.submit()
  const live = await h.connect(id, { query: 'log=1' })
  const slow = await h.connect(id, { query: 'log=1&log_after=0', node: 1 })
  const cut = await h.connect(id, { query: 'log=1&log_after=0' })
  const plain = await h.connect(id)
  const logs = (messages: readonly Message[]) => messages.filter(({ type }) => type === 'log')
  await eventually(() => [live, slow, cut].every(({ messages }) => logs(messages).length > 0))
  slow.pause()
  start()
  await eventually(() => fold(cut.messages).texts.length > 500)
  cut.terminate()
  const known = logs(cut.messages)
  const last = known.at(-1)
  const at = last.first + last.lines.length - 1
  await eventually(() => live.messages.some(({ type }) => type === 'completed'), { timeoutMs: 30_000 })
  slow.resume()
  const resumed = await h.connect(id, { query: `log=1&log_after=${at}&log_epoch=${last.epoch}`, node: 1 })
  const late = await h.connect(id, { query: 'log=1&log_after=0' })
  const expected = numbered(count - 4999, count)
  for (const [name, client, before] of [
    ['live', live, []],
    ['slow', slow, []],
    ['resumed', resumed, known],
    ['late', late, []],
  ] as const) {
    await eventually(() => client.messages.some(({ end }) => end === true), { timeoutMs: 30_000 })
    const { first, texts } = fold([...before, ...client.messages])
    t.equal(first, count - 4999, name)
    t.same(texts, expected, name)
  }
  for (const path of [`/api/v2/runs/${id}`, `/api/processes/${id}`, `/api/jobs/${id}`]) {
    const { first, texts, page } = await pagesOf(h, path)
    t.equal(first, count - 4999)
    t.same(texts, expected, path)
    t.match(page, { oldest: count - 4999, last: count, complete: true })
  }
  const newest = await h.connect(id, { query: 'log=1' })
  await eventually(() => newest.messages.some(({ end }) => end === true))
  t.match(logs(newest.messages)[0], { run_id: id, first: count - 199, oldest: count - 4999 }, 'a late viewer begins with the last 200')
  t.same(logs(plain.messages), [], 'nobody else gets a line')
})

t.test('[LOG-3] [LOG-5] streams and both dialects; terminal escapes and HTML do no harm as text', async (t) => {
  const evil = '\u001b]0;owned\u0007\u001b[2J<script>alert(1)</script>\u009b31m \u202etxt\ttab'
  const h = await setUp(t, async (_input, job) => {
    job.log({ level: 'warn', message: 'first\nsecond' })
    job.log(evil)
    return { metrics_summary: {} }
  })
  const id = await h.submit()
  for (const [path, type] of [
    [`/api/v2/runs/${id}`, 'log'],
    [`/api/processes/${id}`, 'process_log'],
    [`/api/jobs/${id}`, 'log'],
  ] as const) {
    const stream = new SseClient(`${h.nodes[0]?.http}${path}/events?log=1&token=${h.token()}`)
    h.onTeardown(() => stream.terminate())
    await eventually(() => fold(stream.messages).isComplete)
    t.same(fold(stream.messages).texts, ['first', 'second', evil], path)
    const message = stream.messages.find((message) => message.type === type && message.lines.length > 0)
    t.match(message?.lines[0], { level: 'warn', text: 'first', timestamp: /Z$/ })
  }
  const response = await fetch(`${h.nodes[0]?.http}/api/v2/runs/${id}/log`, {
    headers: { authorization: `Bearer ${h.token()}`, accept: 'text/plain' },
  })
  t.match(response.headers.get('content-type'), /^text\/plain/)
  t.equal(response.headers.get('x-content-type-options'), 'nosniff')
  t.equal(await response.text(), 'first\nsecond\n<script>alert(1)</script> \\u{202e}txt\ttab\n')
})

t.test('[PROC-10] one socket of a user gives the run dialect and the log of a job, to its end', async (t) => {
  const h = await setUp(t, async (_input, job) => {
    for (let i = 1; i <= 300; i += 1) job.log(`line ${i}`)
    job.metric('m', 1, 'Hz')
    await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }))
    throw job.signal.reason
  })
  const ids = [await h.submit(), await h.submit()]
  const [id = '', other = ''] = ids
  const tab = new TestClient(`${h.nodes[0]?.ws}/ws?token=${h.token()}`)
  h.onTeardown(() => tab.terminate())
  await tab.next('process_list')
  tab.send({ type: 'subscribe', process_id: id, dialect: 'run', log: true, log_after: 0 })
  const of = (field: string) => tab.messages.filter((message) => message[field] === id)
  await eventually(() => fold(of('run_id')).texts.length === 300)
  t.match(of('run_id')[0], { type: 'status', recovered: false })
  t.ok(of('run_id').some(({ type }) => type === 'metric_update'))
  for (const each of ids) await h.call('POST', `/api/v2/runs/${each}/cancel`)
  await eventually(() => fold(of('run_id')).isComplete && tab.messages.some(({ type }) => type === 'process_cancelled'))
  t.same(fold(of('run_id')).texts, numbered(1, 300))
  t.same(
    of('run_id')
      .map(({ type }) => type)
      .filter((type) => type !== 'log')
      .slice(-1),
    ['cancelled'],
  )
  t.same(
    tab.messages.filter((message) => (message.run_id ?? message.process_id) === other && 'lines' in message),
    [],
  )
  // The next execution is followed in the same way.
  await h.call('POST', `/api/v2/runs/${id}/retry`)
  await eventually(
    () =>
      of('run_id')
        .filter(({ type }) => type === 'log')
        .at(-1)?.end === undefined,
  )
  await eventually(() => fold(of('run_id')).texts.length === 300)
  tab.send({ type: 'unsubscribe', process_id: id })
  await tab.next('unsubscribed')
  tab.send({ type: 'subscribe', process_id: id })
  t.match(await tab.next('subscribed'), { process_id: id })
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  await eventually(() => tab.messages.filter(({ type, process_id }) => type === 'process_cancelled' && process_id === id).length === 1)
  const count = of('run_id').length
  t.equal(of('run_id').length, count, 'and without these wishes after a new subscribe')
  tab.send({ type: 'subscribe', process_id: id, dialect: 'odd' })
  t.match(await tab.next('refused'), { request: 'subscribe', code: 'invalid' })
})

t.test('[SSE-9] the stream of a user names jobs, a dialect and the log', async (t) => {
  const h = await setUp(t, async (_input, job) => {
    job.log('one line')
    return { metrics_summary: {} }
  })
  const ended = await h.submit()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${ended}/log`)).body.complete)
  const [node] = h.nodes
  const open = (query: string) => {
    const stream = new SseClient(`${node?.http}/api/processes/events?token=${h.token()}${query}`)
    h.onTeardown(() => stream.terminate())
    return stream
  }
  const many = await h.call('GET', `/api/processes/events?process_id=${'a,'.repeat(65)}`, { headers: { accept: 'text/event-stream' } })
  t.match(many, { status: 422, body: { detail: [{ path: '/querystring/process_id', expected: /at most 64 ids; there are 65/ }] } })
  const stream = open(`&log=1&process_id=${ended},nobody`)
  t.match(await stream.next('subscribed'), { process_id: ended })
  t.match(await stream.next('refused'), { process_id: 'nobody', code: 'not_found' })
  await eventually(() => fold(stream.messages).isComplete)
  const inRuns = open('&log=1&dialect=run')
  await inRuns.next('process_list')
  const fresh = await h.submit()
  await eventually(() => stream.messages.some(({ type, process_id, end }) => type === 'process_log' && process_id === fresh && end))
  await eventually(() => inRuns.messages.some(({ type, run_id, end }) => type === 'log' && run_id === fresh && end))
  t.ok(inRuns.messages.some(({ type, run_id }) => type === 'completed' && run_id === fresh))
  t.ok(stream.events.every(({ id }) => id === undefined))
  t.equal((await h.call('GET', '/api/processes/events')).status, 404, 'there is no job with this id')
  await h.submit({ id: 'events' })
  t.match((await h.call('GET', '/api/processes/events')).body, { process_id: 'events' })
})

t.test('[LOG-3] clients get each line once and in order, over cuts, and end with the last one', async (t) => {
  let go = () => {}
  const cutDone = new Promise<void>((resolve) => {
    go = resolve
  })
  // So that a slow reader misses nothing.
  const env = { MAX_LOG_LINES: '10000' }
  const h = await setUp(
    t,
    async (_input, job) => {
      for (let i = 1; i <= 3000; i += 1) job.log(`line ${i}`)
      await job.flush()
      await cutDone
      for (let i = 3001; i <= 6000; i += 1) job.log({ level: 'info', message: `line ${i}` })
      return { metrics_summary: {} }
    },
    env,
  )
  const id = await h.submit()
  const sockets: WebSocket[] = []
  class Cuttable extends WebSocket {
    constructor(url: string) {
      super(url)
      sockets.push(this)
    }
  }
  const [node] = h.nodes
  const seen: number[] = []
  let isOver = false
  const watch = watchJob({
    url: `${node?.ws}/api/v2/ws/runs/${id}`,
    token: () => h.token(),
    WebSocket: Cuttable,
    backoffMs: { first: 5, longest: 50 },
    onLog: (lines, { isComplete }) => {
      seen.push(...lines.map(({ n }) => n))
      isOver = isComplete
    },
  })
  const http = createClient({ url: node?.http ?? '', token: () => h.token(), WebSocket: Cuttable })
  const redis = createRedisClient({ redis: { url: h.redis.url, prefix: h.redis.prefix }, owner: 'alice' })
  t.teardown(async () => {
    watch.close()
    await Promise.all([http.close(), redis.close()])
  })
  const read = async (log: AsyncIterable<{ n: number; text: string }>) => {
    const lines: string[] = []
    for await (const { n, text } of log) {
      lines.push(`${n} ${text}`)
      if (n === 2000) for (const socket of sockets) socket.terminate()
      if (n === 2500) go()
    }
    return lines
  }
  const expected = Array.from({ length: 6000 }, (_, i) => `${i + 1} line ${i + 1}`)
  const [overHttp, overRedis] = await Promise.all([read(http.job(id).log()), read(redis.job(id).log())])
  t.same(overHttp, expected)
  t.same(overRedis, expected)
  await eventually(() => isOver)
  t.same(
    seen,
    Array.from({ length: 6000 }, (_, i) => i + 1),
  )
  const page = await http.job(id).logPage({ before: 3002, limit: 2 })
  t.match(page, { epoch: String, oldest: 1, last: 6000, nextBefore: 3000, isComplete: true })
  t.match(page.lines, [
    { n: 3000, text: 'line 3000' },
    { n: 3001, level: 'info' },
  ])
  t.same((await redis.job(id).logPage({ before: 3002, limit: 2 })).lines, page.lines)
  const last: number[] = []
  for await (const { n } of http.job(id).log({ after: { epoch: page.epoch, n: 5997 } })) last.push(n)
  t.same(last, [5998, 5999, 6000], 'continues after a known line')
  await t.rejects(http.job('nobody').log().next(), { code: 'not_found' })
})

t.test('[LOG-3] [LOG-4] the log of a job is for its owner and admins only', async (t) => {
  const h = await setUp(t, async (_input, job) => {
    job.log('secret')
    return { metrics_summary: {} }
  })
  const id = await h.submit()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}/log`)).body.complete)
  for (const path of [`/api/v2/runs/${id}/log`, `/api/processes/${id}/log`, `/api/jobs/${id}/log`]) {
    t.equal((await h.call('GET', path, { sub: 'mallory' })).status, 404)
    t.equal((await h.call('GET', path, { token: null })).status, 401)
    t.equal((await h.call('GET', path, { token: h.token('w', { claims: { role: 'worker' } }) })).status, 403)
    t.match((await h.call('GET', path, { token: h.token('root', { claims: { role: 'admin' } }) })).body, { lines: [{ text: 'secret' }] })
    for (const query of ['limit=0', 'limit=1001', 'before=0', 'before=x', 'other=1']) {
      t.equal((await h.call('GET', `${path}?${query}`)).status, 422, query)
    }
  }
  const stranger = await h.connect(id, { sub: 'mallory', query: 'log=1' })
  t.match(await stranger.closed, { code: 4004 })
  t.same(stranger.messages, [])
})
