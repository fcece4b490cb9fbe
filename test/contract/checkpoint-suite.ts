import type { Test } from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { eventually } from '../support/eventually.js'
import { listenTo, type OpenBackend, seqsOf } from './backend.js'
import { entering, metric, TestJob } from './test-job.js'

/** Checkpoints of jobs that go on in steps, as every broker keeps them. */
export function checkpointContract(t: Test, open: OpenBackend): void {
  t.test('[OPT-7] what a step tells and where the next one begins are one act: of many that saw the same, one is done', async (t) => {
    const backend = open(t)
    const { broker } = backend
    const heard = listenTo(broker)
    const job = await TestJob.in(backend, 'running')
    await broker.subscribe(job.id)
    const { seq } = await job.state()
    t.equal(await broker.load(job.id), null)
    const next = (version: number, data: string) => ({ version, children: ['a', 'b'], data })
    const step = (version: number, data: string) =>
      broker.advance(job.id, [metric(job.id, data, version)], controlWriter(1), next(version, data))
    const answers = await Promise.all(['x', 'y', 'z'].map((data) => step(1, data)))
    t.equal(answers.filter(({ ok }) => ok).length, 1)
    t.match(
      answers.find(({ ok }) => !ok),
      { ok: false, reason: 'stale_checkpoint', status: 'running' },
    )
    t.match(await step(3, 'x'), { reason: 'stale_checkpoint' }, 'none that nobody has seen')
    t.match(await step(2, 'w'), { ok: true, seq: seq + 2 })
    t.same(await broker.load(job.id), { round: 1, ...next(2, 'w') })
    await eventually(() => heard.entries.length === 2)
    t.same(seqsOf(heard.entries), [seq + 1, seq + 2], 'and only what was done is told')
    t.match(await broker.advance(job.id, [], controlWriter(1), next(3, 'silent')), { ok: true, seq: seq + 2 }, 'also where nothing is told')
    t.match(await broker.load(job.id), { version: 3, data: 'silent' })
  })

  t.test('[OPT-7] a publication that is refused leaves the checkpoint as it was, and an ended round has no more steps', async (t) => {
    const backend = open(t, { maxEventBytes: 400 })
    const { broker } = backend
    const job = await TestJob.in(backend, 'running')
    const next = { version: 1, children: [], data: 'new' }
    t.match(await broker.advance(job.id, [entering(job.id, 'retrying'), entering(job.id, 'paused')], controlWriter(1), next), {
      reason: 'transition',
    })
    t.match(await broker.advance(job.id, [metric(job.id, 'a', 1)], controlWriter(2), next), { reason: 'stale_round' })
    const big = { ...metric(job.id, 'a', 1), message: { text: 'x'.repeat(500) } }
    t.match(await broker.advance(job.id, [big], controlWriter(1), next), { reason: 'too_big' })
    await job.enter('completed')
    t.match(await broker.advance(job.id, [metric(job.id, 'a', 1)], controlWriter(1), next), { reason: 'final' })
    t.equal(await broker.load(job.id), null)
    t.match(await broker.advance('nobody', [], controlWriter(1), next), { ok: false, reason: 'unknown_job' })
  })

  t.test('[OPT-7] a checkpoint that was dropped is gone, and may begin anew', async (t) => {
    const { broker, store } = open(t)
    const job = await TestJob.in({ broker, store, prefix: '' }, 'running')
    const first = { version: 1, children: ['a'], data: '{"a":[1,"ü"]}' }
    await broker.advance(job.id, [], controlWriter(1), first)
    await broker.drop(job.id, 2)
    t.match(await broker.load(job.id), first, 'that of another round stays')
    await broker.drop(job.id, 1)
    t.equal(await broker.load(job.id), null)
    t.match(await broker.advance(job.id, [], controlWriter(1), first), { ok: true })
    t.match(await broker.load(job.id), first)
  })

  t.test('[OPT-6] a new round begins with nothing found', async (t) => {
    const job = await TestJob.in(open(t), 'running', { kind: 'optimization' })
    for (const key of ['iteration', 'pareto']) await job.write({ ...metric(job.id, 'a', 1), key })
    t.same([...(await job.state()).latest.keys()].toSorted(), ['iteration', 'pareto', 'status'])
    await job.enter('failed')
    await job.retry()
    t.same([...(await job.state()).latest.keys()], ['status'])
  })
}
