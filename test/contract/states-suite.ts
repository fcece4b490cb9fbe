import type { Test } from 'tap'
import { controlWriter, fencingWriter } from '../../src/core/entry.js'
import { isFinal, mayEnter, STATUSES } from '../../src/protocol/status.js'
import { type OpenBackend, seqsOf } from './backend.js'
import { EDGES } from './rule-state-1.js'
import { at, entering, metric, progress, TestJob } from './test-job.js'

/** The state machine, as every broker enforces it. */
export function statesContract(t: Test, open: OpenBackend): void {
  for (const from of STATUSES) {
    t.test(`[STATE-1] from ${from} a job enters the states of the rule and no others`, async (t) => {
      const backend = open(t)
      for (const to of STATUSES) {
        const job = await TestJob.in(backend, from)
        const { seq } = await job.state()
        const isLegal = EDGES[from].includes(to)
        t.equal(mayEnter(from, to), isLegal, `the table of the code on ${from} → ${to}`)
        const answer = await job.write(entering(job.id, to))
        if (isLegal && !isFinal(from)) {
          t.same(answer, { ok: true, seq: seq + 1, status: to }, `${from} → ${to}`)
          t.equal((await job.state()).status, to)
        } else {
          t.same(answer, { ok: false, reason: isFinal(from) ? 'final' : 'transition', status: from }, `${from} → ${to}`)
          t.match(await job.state(), { status: from, seq, round: 1 })
        }
      }
    })

    t.test(`[STATE-1] from ${from} a new round begins only as the explicit retry of what failed or was cancelled`, async (t) => {
      const backend = open(t)
      for (const to of STATUSES) {
        const job = await TestJob.in(backend, from)
        const { seq } = await job.state()
        const event = { ...entering(job.id, to), clears: 'round' } as const
        const answer = await backend.broker.publish(job.id, [event], controlWriter(2))
        if (isFinal(from) && EDGES[from].includes(to)) {
          t.same(answer, { ok: true, seq: seq + 1, status: to }, `${from} → ${to}`)
          t.match(await job.state(), { status: to, round: 2 })
        } else {
          t.same(answer, { ok: false, reason: isFinal(from) ? 'final' : 'transition', status: from }, `${from} → ${to}`)
          t.match(await job.state(), { status: from, seq, round: 1 })
        }
      }
    })
  }

  t.test('[STATE-2] one of two ends is the end, and nothing comes after it', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const { id } = job
    const answers = await Promise.all([
      job.control(entering(id, 'completed')),
      job.control(entering(id, 'failed')),
      job.control(entering(id, 'cancelling'), entering(id, 'cancelled')),
    ])
    t.equal(answers.filter((answer) => answer.ok).length, 1)
    const end = await job.state()
    t.ok(answers.every((answer) => answer.ok || (answer.reason === 'final' && answer.status === end.status)))
    for (const event of [progress(id, 99), metric(id, 'late', 1), entering(id, 'running'), entering(id, 'completed')]) {
      t.same(await job.write(event), { ok: false, reason: 'final', status: end.status })
      t.same(await job.control(event), { ok: false, reason: 'final', status: end.status })
    }
    const { entries } = await job.history()
    t.equal(entries.filter((entry) => entry.class === 'final').length, 1)
    t.equal(entries.at(-1)?.class, 'final')
    t.equal((await job.state()).seq, end.seq)
  })

  t.test('[STATE-3] a writer with an older token is refused, whatever it says', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    job.token = 2
    t.match(await job.write(progress(job.id, 1)), { ok: true, seq: 3 })
    job.token = 1
    for (const event of [progress(job.id, 2), metric(job.id, 'a', 1), entering(job.id, 'completed')]) {
      t.same(await job.write(event), { ok: false, reason: 'stale_writer', status: 'running' })
    }
    job.token = 2
    t.match(await job.write(progress(job.id, 3)), { ok: true, seq: 4 })
    t.match(await job.control(entering(job.id, 'cancelling')), { ok: true, seq: 5 }, 'the control plane has no token')
    job.token = 3
    job.n = 0
    t.match(await job.write(progress(job.id, 4)), { ok: true, seq: 6 }, 'a newer writer counts from 1 again')
  })

  t.test('[STATE-3] of two processes that fence a lost worker, one ends its execution', async (t) => {
    const backend = open(t)
    const job = await TestJob.in(backend, 'running')
    await job.write(progress(job.id, 1))
    const end = () => backend.broker.publish(job.id, [entering(job.id, 'failed')], fencingWriter({ round: 1, token: job.token }, 'round'))
    t.match(await end(), { ok: true, status: 'failed' })
    t.same(await end(), { ok: false, reason: 'final', status: 'failed' })
  })

  t.test('[STATE-3] a writer of an older round is refused, the control plane too', async (t) => {
    const job = await TestJob.in(open(t), 'failed')
    job.token = 9
    await job.retry()
    for (const round of [0, 1, 3]) {
      job.round = round
      for (const event of [entering(job.id, 'running'), entering(job.id, 'cancelled'), progress(job.id, 1)]) {
        t.same(await job.write(event), { ok: false, reason: 'stale_round', status: 'queued' })
        t.same(await job.control(event), { ok: false, reason: 'stale_round', status: 'queued' })
      }
    }
    job.round = 2
    t.match(await job.control({ ...entering(job.id, 'queued'), clears: 'round' }), { ok: false, reason: 'stale_round' })
    t.match(await job.write(entering(job.id, 'running')), { ok: true, seq: 5 })
  })

  t.test('[STATE-3] in a new round tokens begin again', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    job.token = 7
    await job.enter('failed')
    await job.retry()
    t.match(await job.write(entering(job.id, 'running')), { ok: true, status: 'running' })
  })

  t.test('[STATE-4] a write that comes again is answered with its first seq and done once', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const events = [metric(job.id, 'a', 1), metric(job.id, 'b', 2)]
    t.same(await job.write(...events), { ok: true, seq: 4, status: 'running' })
    job.n -= 1
    t.same(await job.write(...events), { ok: true, seq: 4, status: 'running' })
    await job.control(entering(job.id, 'cancelling'))
    job.n -= 1
    t.same(await job.write(...events), { ok: true, seq: 4, status: 'cancelling' }, 'and tells where the job is now')
    await job.control(entering(job.id, 'cancelled'))
    job.n -= 1
    t.same(await job.write(...events), { ok: true, seq: 4, status: 'cancelled' })
    t.same(seqsOf((await job.history()).entries), [1, 2, 3, 4, 5, 6])
  })

  t.test('[STATE-4] a write with a lower number than the last is refused', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    await job.write(progress(job.id, 1))
    await job.write(progress(job.id, 2))
    job.n -= 2
    t.same(await job.write(progress(job.id, 1)), { ok: false, reason: 'stale_write', status: 'running' })
    t.equal((await job.state()).seq, 4)
  })

  t.test('[STATE-4] a refused write uses no number up', async (t) => {
    const job = await TestJob.create(open(t))
    t.match(await job.write(entering(job.id, 'completed')), { ok: false, reason: 'transition' })
    job.n -= 1
    t.match(await job.write(entering(job.id, 'running')), { ok: true, seq: 2 })
  })

  t.test('[STATE-5] a new attempt clears progress and metrics in the same act, and the log keeps them', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const { id } = job
    await job.write(progress(id, 50), metric(id, 'a', 1), metric(id, 'b', 2))
    const { started_at } = await job.state()
    await job.write({ ...entering(id, 'retrying'), clears: 'attempt' })
    const state = await job.state()
    t.match(state, { status: 'retrying', attempt: 2, round: 1, started_at, seq: 6 })
    t.same([...state.latest.keys()], ['status'])
    t.match(JSON.parse(String(state.latest.get('status')?.body)), { status: 'retrying', attempt: 2, seq: 6 })
    await job.enter('running')
    t.match(await job.state(), { attempt: 2, started_at }, 'a round starts once')
    const { entries } = await job.history()
    t.same(seqsOf(entries), [1, 2, 4, 5, 6, 7])
    t.equal(entries.find((entry) => entry.seq === 6)?.clears, 'attempt')
  })

  t.test('[STATE-5] a new round clears the final entry and the moments too', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    const { id } = job
    await job.write({ ...entering(id, 'retrying'), clears: 'attempt' })
    await job.enter('running')
    await job.write(progress(id, 50), metric(id, 'a', 1))
    await job.enter('failed')
    t.same([...(await job.state()).latest.keys()], ['status', 'progress', 'metric:a', 'final'])
    await job.retry()
    const state = await job.state()
    t.match(state, { status: 'queued', attempt: 1, round: 2, started_at: null, finished_at: null, seq: 8 })
    t.same([...state.latest.keys()], ['status'])
    t.same(seqsOf((await job.history()).entries), [1, 2, 3, 4, 6, 7, 8])
    await job.enter('running')
    t.type((await job.state()).started_at, 'string')
  })

  t.test('[STATE-5] a start on a job that runs already is retrying and running in one act', async (t) => {
    const job = await TestJob.in(open(t), 'running')
    await job.write(progress(job.id, 50))
    job.token = 2
    const lost = { ...entering(job.id, 'retrying'), clears: 'attempt', optional: true } as const
    t.same(await job.write(lost, entering(job.id, 'running')), { ok: true, seq: 5, status: 'running' })
    t.match(await job.state(), { attempt: 2 })
    t.same([...(await job.state()).latest.keys()], ['status'])
  })

  t.test('[CONN-6] the moments of a round are those that its messages tell', async (t) => {
    const job = await TestJob.create(open(t), { created_at: '2026-03-01T10:00:00.000Z' })
    const { id } = job
    t.match(await job.state(), { created_at: '2026-03-01T10:00:00.000Z', started_at: null, finished_at: null })
    await job.write(at('2026-03-01T10:00:01.000Z', entering(id, 'running')))
    await job.write(at('2026-03-01T10:00:02.000Z', entering(id, 'queued')))
    await job.write(at('2026-03-01T10:00:03.000Z', entering(id, 'running')))
    t.match(await job.state(), { started_at: '2026-03-01T10:00:01.000Z', finished_at: null })
    await job.write(at('2026-03-01T10:00:04.000Z', entering(id, 'completed')))
    t.match(await job.state(), { started_at: '2026-03-01T10:00:01.000Z', finished_at: '2026-03-01T10:00:04.000Z' })
  })
}
