import type { Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { BUILT_IN } from '../support/kinds.js'
import type { Backend, OpenBackend } from './backend.js'
import { seqsOf } from './backend.js'
import { entering, newJob, TestJob } from './test-job.js'

/** A moment as ms and as text. */
function moment(second: number) {
  const ms = Date.parse('2026-03-01T10:00:00.000Z') + second * 1000
  return { ms, created_at: new Date(ms).toISOString() }
}

async function createMany(backend: Backend, owner: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i += 1) ids.push((await TestJob.create(backend, { owner, created_at: moment(i).created_at })).id)
  return ids
}

async function allPages(backend: Backend, owner: string, limit: number, kind: string | null = 'run'): Promise<(readonly string[])[]> {
  const pages: (readonly string[])[] = []
  let cursor: string | undefined
  do {
    const page = await backend.store.list(owner, kind, limit, cursor)
    pages.push(page.ids)
    cursor = page.cursor
  } while (cursor !== undefined)
  return pages
}

/** The records of jobs, as every store keeps them. */
export function storeContract(t: Test, open: OpenBackend): void {
  t.test('a job is born queued, with its record and its first event', async (t) => {
    const backend = open(t)
    const job = newJob({ input: '{"note":"größer"}' })
    const first = entering(job.id, 'queued')
    t.same(await backend.store.create(job, first), { created: true })
    const reading = await backend.broker.read(job.id)
    const { epoch, latest, ...record } = reading?.state ?? {}
    const { id, owner, input, timeoutMs, generation, created_at } = job
    const kind = BUILT_IN.get(job.kind)
    const counters = {
      status: 'queued',
      round: 1,
      attempt: 1,
      token: 0,
      n: 0,
      sinceHeartbeatMs: null,
      stale: false,
      seq: 1,
      started_at: null,
      finished_at: null,
    }
    t.same(record, { id, kind, owner, solver: null, parent: null, input, timeoutMs, generation, created_at, ...counters })
    t.match(epoch, generation)
    t.same([...(latest?.keys() ?? [])], ['status'])
    t.same(JSON.parse(String(latest?.get('status')?.body)), { ...first.message, attempt: 1, seq: 1 })
    t.same(seqsOf((await backend.store.history(job.id, 0, 10))?.entries), [1])
  })

  t.test('[WORDS-3] words change one by one, and subscribers are told to read again', async (t) => {
    const backend = open(t)
    const tags = '["a","b"]'
    const job = newJob({ words: { title: 'first', tags } })
    await backend.store.create(job, entering(job.id, 'queued'))
    const wordsNow = async () => (await backend.broker.read(job.id))?.state.words
    t.same(await wordsNow(), { title: 'first', tags: ['a', 'b'] })
    const gaps: string[] = []
    backend.broker.listen({ entry: () => {}, gap: (id) => gaps.push(id) })
    await backend.broker.subscribe(job.id)
    t.equal(await backend.store.setWords(job.id, 'alice', { title: '', metadata: '{"empty":[]}' }), true)
    t.same(await wordsNow(), { tags: ['a', 'b'], metadata: { empty: [] } })
    await eventually(() => gaps.includes(job.id))
    t.equal(await backend.store.setWords(job.id, 'alice', { title: '', tags }), true)
    t.equal(await backend.store.setWords(job.id, 'bob', { title: 'his' }), false, 'the id has another owner')
    t.same(await wordsNow(), { tags: ['a', 'b'], metadata: { empty: [] } })
    await backend.store.setWords(job.id, 'alice', { tags: '', metadata: '' })
    t.equal(await wordsNow(), undefined)
    t.match((await backend.broker.read(job.id))?.state, { seq: 1, status: 'queued' }, 'no entry')
    t.equal(await backend.store.setWords('nobody', 'alice', { title: 'x' }), false)
    t.equal(await backend.broker.read('nobody'), null)
  })

  t.test('[JOB-2] a job that exists is left alone and named with owner and digest', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    const { owner } = await job.state()
    for (const fields of [{}, { owner: 'mallory' }, { digest: 'another' }, { digest: 'another', kind: 'optimization' }]) {
      const again = await backend.store.create(newJob({ id: job.id, ...fields }), entering(job.id, 'queued'))
      t.same(again, { created: false, existing: { owner, digest: 'digest' } })
    }
    t.match(await job.state(), { status: 'running', seq: 2, owner })
    t.same((await backend.store.list('mallory', 'run', 10)).ids, [])
    t.same((await backend.store.list(owner, 'run', 10)).ids, [job.id])
    t.same((await backend.store.list(owner, 'optimization', 10)).ids, [], 'not in the list of the other kind')
  })

  t.test('[JOB-2] two submits of one id at the same moment make one job', async (t) => {
    const backend = open(t)
    for (let i = 0; i < 10; i += 1) {
      const { id } = newJob()
      const jobs = ['alice', 'bob', 'carol'].map((owner) => newJob({ id, owner, digest: `of ${owner}` }))
      const answers = await Promise.all(jobs.map((job) => backend.store.create(job, entering(id, 'queued'))))
      t.equal(answers.filter((answer) => answer.created).length, 1)
      const owner = (await backend.broker.read(id))?.state.owner
      for (const answer of answers) t.ok(answer.created || answer.existing.owner === owner)
      for (const other of ['alice', 'bob', 'carol']) {
        t.equal((await backend.store.list(other, 'run', 100)).ids.includes(id), other === owner)
      }
      t.same(seqsOf((await backend.store.history(id, 0, 10))?.entries), [1])
    }
  })

  t.test('[JOB-5] a user finds own jobs, newest first, page by page', async (t) => {
    const backend = open(t)
    const ids = await createMany(backend, 'alice', 7)
    const others = await createMany(backend, 'bob', 2)
    const newest = ids.toReversed()
    t.same(await backend.store.list('alice', 'run', 10), { ids: newest }, 'one page has no cursor')
    t.same(await backend.store.list('alice', 'run', 7), { ids: newest })
    t.same(await allPages(backend, 'alice', 3), [newest.slice(0, 3), newest.slice(3, 6), newest.slice(6)])
    t.same(
      await allPages(backend, 'alice', 1),
      newest.map((id) => [id]),
    )
    t.same(await allPages(backend, 'bob', 3), [others.toReversed()])
    t.same(await backend.store.list('nobody', 'run', 3), { ids: [] })
  })

  t.test('[JOB-5] pages neither repeat nor lose a job, whatever is submitted meanwhile', async (t) => {
    const backend = open(t)
    const ids = await createMany(backend, 'alice', 5)
    const first = await backend.store.list('alice', 'run', 2)
    await TestJob.create(backend, { owner: 'alice', created_at: moment(100).created_at })
    const second = await backend.store.list('alice', 'run', 10, first.cursor)
    t.same([...first.ids, ...second.ids], ids.toReversed())
  })

  t.test('[JOB-5] jobs of the same moment are all listed, each once', async (t) => {
    const backend = open(t)
    const { created_at } = moment(0)
    const ids: string[] = []
    for (let i = 0; i < 8; i += 1) ids.push((await TestJob.create(backend, { owner: 'alice', created_at })).id)
    const listed = (await allPages(backend, 'alice', 3)).flat()
    t.same(listed.toSorted(), ids.toSorted())
  })

  t.test('a job that was forgotten is not listed, for its owner alone', async (t) => {
    const backend = open(t)
    const [one = '', two = ''] = await createMany(backend, 'alice', 2)
    await backend.store.forget('bob', one)
    t.same((await backend.store.list('alice', 'run', 10)).ids, [two, one])
    await backend.store.forget('alice', one)
    t.same((await backend.store.list('alice', 'run', 10)).ids, [two])
    t.ok(await backend.broker.read(one), 'the job is still there')
  })

  t.test('the sweeper finds jobs that were not touched lately, until they are retired', async (t) => {
    const { store, ...rest } = open(t)
    const [one = '', two = '', three = ''] = await createMany({ store, ...rest }, 'alice', 3)
    const [first, second, third] = [one, two, three].map((id) => ({ id, round: 1 }))
    if (!first || !second || !third) throw new Error('three jobs')
    t.same(await store.active(moment(-1).ms, 10), [])
    t.same(await store.active(moment(1).ms, 10), [first, second])
    t.same(await store.active(moment(9).ms, 2), [first, second])
    await store.touch(first, moment(20).ms)
    t.same(await store.active(moment(9).ms, 10), [second, third])
    t.same((await store.active(moment(20).ms, 10)).map(({ id }) => id).toSorted(), [one, two, three].toSorted())
    await store.deactivate(second)
    await store.deactivate(second)
    t.same(await store.active(moment(9).ms, 10), [third])
    await store.touch(second, moment(0).ms)
    t.same(await store.active(moment(9).ms, 10), [third], 'a touch brings no job back')
  })

  t.test('each round stands in the index by itself: the end of one, told late, leaves the next alone', async (t) => {
    const { store, ...rest } = open(t)
    const [id = ''] = await createMany({ store, ...rest }, 'alice', 1)
    const [first, second] = [
      { id, round: 1 },
      { id, round: 2 },
    ] as const
    await store.activate(second, moment(5).ms)
    await store.activate(second, moment(0).ms)
    t.same(await store.active(moment(4).ms, 10), [first], 'a second time changes nothing')
    t.same(await store.active(moment(5).ms, 10), [first, second])
    await store.deactivate(first)
    t.same(await store.active(moment(5).ms, 10), [second])
  })

  t.test('[RETRY-2] a job in a new round is known again, to the sweeper and to its owner, at its old place', async (t) => {
    const backend = open(t)
    const [older = '', newer = ''] = await createMany(backend, 'alice', 2)
    const known = { id: older, round: 2, kind: 'run', owner: 'alice', created_at: moment(0).created_at } as const
    await backend.store.forget('alice', older)
    for (let i = 0; i < 2; i += 1) await backend.store.reactivate(known)
    t.same((await backend.store.list('alice', 'run', 10)).ids, [newer, older])
    t.same(
      (await backend.store.active(moment(9).ms, 10))
        .filter(({ id }) => id === older)
        .map(({ round }) => round)
        .toSorted(),
      [1, 2],
    )
  })

  t.test('[REST-1] jobs of all kinds are listed in one order, page by page', async (t) => {
    const backend = open(t)
    const ids: string[] = []
    for (let i = 0; i < 9; i += 1) {
      const kind = i % 3 === 1 ? 'benchmark' : 'run'
      // Three moments, so that kinds also meet in one.
      const { created_at } = moment(Math.floor(i / 3))
      ids.push((await TestJob.create(backend, { owner: 'alice', kind, created_at })).id)
    }
    const whole = (await backend.store.list('alice', null, 10)).ids
    t.same(whole.toSorted(), ids.toSorted())
    for (const [i, moment] of [
      [6, 7, 8],
      [3, 4, 5],
      [0, 1, 2],
    ].entries()) {
      t.same(whole.slice(3 * i, 3 * i + 3).toSorted(), moment.map((at) => ids[at]).toSorted(), 'newest first')
    }
    for (const limit of [1, 2, 4, 9])
      t.same((await allPages(backend, 'alice', limit, null)).flat(), whole, `by ${limit}: the same, each once`)
    t.same((await backend.store.list('alice', 'benchmark', 10)).ids.toSorted(), [1, 4, 7].map((at) => ids[at]).toSorted())
    const [gone = ''] = whole
    await backend.store.forget('alice', gone)
    t.same((await backend.store.list('alice', null, 10)).ids, whole.slice(1))
  })
}
