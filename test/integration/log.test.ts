import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { SseClient } from '../support/sse-client.js'
import type { Message } from '../support/test-client.js'

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
