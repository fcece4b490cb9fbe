import t from 'tap'
import { runEvents } from '../../src/core/run-events.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'

t.test('[JOB-5] events pages through the durable entries', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit({ id: 'events' })
  const play = await stage.play(id)
  for (let i = 1; i <= 7; i += 1) {
    play.job.progress({ percent: i, phase: 'solving', message: '' })
    play.job.metric('m', i, '1')
  }
  play.complete()
  await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.status === 'completed')
  const events = async (query: string) => (await h.call('GET', `/api/v2/runs/${id}/events?${query}`)).body
  const all = await events('')
  t.same(
    all.events.map(({ type, value, status }: { type: string; value?: number; status?: string }) => value ?? status ?? type),
    ['queued', 'running', 1, 2, 3, 4, 5, 6, 7, 'completed'],
    'durable entries alone, in order',
  )
  const { body: state } = await h.call('GET', `/api/v2/runs/${id}`)
  t.match(all, { run_id: id, epoch: state.epoch, seq: state.seq, oldest_seq: 1, truncated: false, next_after: null })
  t.same(all.events.at(-1), state.result)

  for (const limit of [1, 3, 5, 10, 1000]) {
    const paged: unknown[] = []
    let pages = 0
    for (let after: number | null = 0; after !== null; pages += 1) {
      const page = await events(`limit=${limit}&after=${after}`)
      t.ok(page.events.length <= limit)
      t.match(page, { oldest_seq: 1, truncated: false, next_after: page.events.length === limit ? page.events.at(-1).seq : null })
      paged.push(...page.events)
      after = page.next_after
    }
    t.same(paged, all.events, `by ${limit}`)
    t.equal(pages, Math.floor(10 / limit) + 1)
  }
  t.same((await events(`after=${state.seq}`)).events, [], 'nothing after the last')
  t.same((await events(`after=${state.seq + 1000}`)).events, [], 'nor after what is not there yet')
  const refused = { 'after=-1': '>= 0', 'after=1.5': /integer/, 'after=abc': /integer/, 'after=': /integer/, 'after=1e3': /integer/ }
  const tooMuch = {
    'after=99999999999999999999': '<= 9007199254740991',
    'limit=0': '>= 1',
    'limit=1001': '<= 1000',
    'limit=true': /integer/,
  }
  for (const [query, expected] of Object.entries({ ...refused, ...tooMuch })) {
    const answer = await h.call('GET', `/api/v2/runs/${id}/events?${query}`)
    const path = `/querystring/${query.split('=')[0]}`
    t.match(answer, { status: 422, body: { error: 'invalid', detail: [{ path, expected }] } }, query)
  }
  t.same(h.faults, [])
})

t.test('[JOB-5] the list: own runs, newest first, with a cursor', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2 })
  const created: string[] = []
  for (let i = 0; i < 3; i += 1) created.push(await h.submit({ id: `older-${i}` }))
  // Within one millisecond, which no submit over HTTP could promise.
  const created_at = new Date(Date.now() + 5).toISOString()
  const same = ['b', 'B', 'a.1', 'a_1', 'a-1', '0x', 'Z9', 'z'].map((id) => `same-${id}`)
  for (const id of same) await h.nodes[0]?.hub.parts.store.create(job(id, 'alice', created_at), runEvents.status(id, 'queued'))
  await eventually(() => Date.now() > Date.parse(created_at))
  const parallel = await Promise.all(Array.from({ length: 20 }, (_, i) => h.submit({ id: `parallel-${i}` })))
  await h.submit({ id: 'of-bob', sub: 'bob' })
  created.push(...same, ...parallel)

  const list = (query: string, sub = 'alice') => h.call('GET', `/api/v2/runs?${query}`, { sub, node: query.length % 2 })
  const all = (await list('limit=200')).body
  t.equal(all.cursor, null)
  t.same(idsOf(all).sort(), [...created].sort(), 'all of alice and none of bob')
  const times = all.runs.map(({ created_at }: { created_at: string }) => created_at)
  t.same(times, [...times].sort().reverse(), 'newest first')
  t.same(all.runs[0], (await h.call('GET', `/api/v2/runs/${all.runs[0].run_id}`)).body, 'each as it is when asked for alone')
  t.same(idsOf((await list('')).body), idsOf(all), '50 unless told')

  for (const limit of [1, 4, 7, 30, 31]) {
    const paged: string[] = []
    let cursor: string | null = null
    do {
      const { body } = await list(`limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      t.equal(body.runs.length, Math.min(limit, created.length - paged.length), 'full pages')
      paged.push(...idsOf(body))
      cursor = body.cursor
    } while (cursor !== null && paged.length <= created.length)
    t.same(paged, idsOf(all), `by ${limit}: the same, each once`)
  }

  const { body: page } = await list('limit=5')
  await h.submit({ id: 'newest' })
  t.same(
    idsOf((await list(`limit=5&cursor=${page.cursor}`)).body),
    idsOf(all).slice(5, 10),
    'what comes meanwhile does not shift the pages',
  )
  t.equal(idsOf((await list('')).body)[0], 'newest')
  t.same(idsOf((await list('', 'bob')).body), ['of-bob'])
  t.same(idsOf((await list(`cursor=${page.cursor}`, 'bob')).body).length <= 1, true, "another user's cursor opens nothing")

  const refused = ['limit=0', 'limit=201', 'limit=abc', 'limit=1.9', 'limit=', 'limit=true', 'limit=1&limit=2', 'limit=-1']
  const badCursors = [
    'cursor=',
    'cursor=abc',
    'cursor=123',
    'cursor=:a',
    'cursor=1:',
    'cursor=1:a:b',
    'cursor=-1:a',
    `cursor=${'9'.repeat(400)}:a`,
    'cursor=%00',
  ]
  for (const query of [...refused, ...badCursors]) {
    const path = `/querystring/${query.split('=')[0]}`
    t.match(await list(query), { status: 422, body: { error: 'invalid', detail: [{ path, expected: /.+/ }] } }, query)
  }
  t.same(h.faults, [])
})

function idsOf({ runs }: { runs: { run_id: string }[] }): string[] {
  return runs.map(({ run_id }) => run_id)
}

function job(id: string, owner: string, created_at: string) {
  return {
    id,
    kind: 'run',
    owner,
    input: JSON.stringify(HORN),
    digest: '',
    timeoutMs: 3600_000,
    solver: null,
    parent: null,
    generation: 'aaaaaaaaaaaa',
    created_at,
  } as const
}
